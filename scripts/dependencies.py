"""Checks what is built against deny.toml: the licence of every crate, the crates that must not come in, and where they
come from. The same rules as `cargo deny check licenses bans sources`, which reads the same file but takes minutes to
build; this takes a second. It asks cargo for the tree as Cargo.lock has it for this machine, without the network.

  python3 scripts/dependencies.py        names every crate that breaks a rule; exit code 1 if there is one
"""

import json
import os
import re
import subprocess
import sys
import tomllib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOKEN = re.compile(r"\(|\)|[^\s()]+")


def is_allowed(expression, allowed):
    """Whether an SPDX licence expression can be met with the allowed licences alone (SPDX 2.3, annex D).

    `/` is how old crates write OR. `X WITH exception` is one licence, and allowed only as such."""
    tokens = TOKEN.findall(expression.replace("/", " OR "))

    def alternatives():
        met = requirements()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            met = requirements() or met
        return met

    def requirements():
        met = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        token = tokens.pop(0)
        if token == "(":
            met = alternatives()
            if not tokens or tokens.pop(0) != ")":
                raise ValueError(expression)
            return met
        if token in (")", "OR", "AND", "WITH"):
            raise ValueError(expression)
        if tokens[:1] == ["WITH"]:
            token = " ".join([token, *tokens[:2]])
            del tokens[:2]
        return token in allowed

    try:
        met = alternatives()
    except (IndexError, ValueError):
        return False
    return met and not tokens


def broken_rules(packages, rules):
    """A line for each rule that a package of `cargo metadata` breaks."""
    allowed = set(rules["licenses"]["allow"])
    banned = {entry["crate"]: entry["reason"] for entry in rules["bans"]["deny"]}
    registries = {f"registry+{address}" for address in rules["sources"]["allow-registry"]}
    broken = []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        licence = package["license"]
        if not licence:
            broken.append(f"{name} does not say its licence")
        elif not is_allowed(licence, allowed):
            broken.append(f"{name} has the licence {licence}")
        if package["name"] in banned:
            broken.append(f"{name} must not come in: {banned[package['name']]}")
        source = package["source"]
        if source is None:
            inside = os.path.commonpath([ROOT, package["manifest_path"]]) == ROOT
            if not inside:
                broken.append(f"{name} lies outside of the repository, in {package['manifest_path']}")
        elif source not in registries:
            broken.append(f"{name} comes from {source}")
    return broken


def built_packages():
    """What is built on this machine, with the features that are used."""
    version = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    host = re.search(r"^host: (.+)$", version, re.MULTILINE).group(1)
    command = ["cargo", "metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", host]
    metadata = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(metadata)["packages"]


def main():
    with open(os.path.join(ROOT, "deny.toml"), "rb") as file:
        rules = tomllib.load(file)
    packages = built_packages()
    broken = broken_rules(packages, rules)
    for line in broken:
        print(line)
    print(f"{len(packages)} crates, {len(broken)} break a rule of deny.toml")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
