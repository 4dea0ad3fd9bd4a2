"""The stages of the test command, in order. Each is a list of commands; a stage that fails does not stop the ones
after it unless they stand on it. Nothing is skipped: what a stage needs is installed, or the stage fails."""

import collections
import glob
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Of a failed command, said again at the end, where a long log is read first.
TAIL_LINES = 40

DEBIAN_PACKAGES = {
    "make": "make",
    "c++": "g++",
    "strace": "strace",
    "mkfs.ext4": "e2fsprogs",
    "mount": "mount",
    "losetup": "mount",
    "java": "default-jdk-headless",
    "mvn": "maven",
    "node": "nodejs",
    "npm": "npm",
    "go": "golang-go",
    "redis-server": "redis-server",
    "mariadbd": "mariadb-server",
    "/usr/lib/postgresql/*/bin/postgres": "postgresql",
}

GO_MODULE = os.path.join(ROOT, "compat", "clients", "franz")
JDK_HELPS = "install a JDK 17 or newer, and put it first on the path or into `update-alternatives --config java`"
NODE_HELPS = "install Node.js 18 or newer from https://nodejs.org, and put it first on the path"
GO_HELPS = (
    "install it from https://go.dev/dl and put it first on the path; any Go from 1.21 on fetches the version that a module "
    "wants by itself, unless GOTOOLCHAIN=local forbids it"
)


def go_of_module(directory=GO_MODULE):
    """The least Go that a module builds with, as its go.mod says."""
    with open(os.path.join(directory, "go.mod"), encoding="utf-8") as module:
        return version_in(module.read(), r"^go (\S+)$")


def version_in(text, pattern):
    """The numbers of a version, or None."""
    found = re.search(pattern, text, re.M)
    return tuple(int(number) for number in re.findall(r"\d+", found.group(1))) if found else None


# Stage -> what may be there and be too old, and would fail late: (program, where its version is asked for, how, what the
# answer looks like, the least version, what helps). A Go asked inside of a module is the one that would build it.
VERSIONS = {
    "clients": [
        ("go", GO_MODULE, ["go", "version"], r"go version go(\S+)", go_of_module, GO_HELPS),
        ("java", ROOT, ["java", "-version"], r'version "([\d.]+)', lambda: (17,), JDK_HELPS),
        ("node", ROOT, ["node", "--version"], r"^v(\S+)", lambda: (18,), NODE_HELPS),
    ],
}

# name -> (what it needs to have passed, commands)
STAGES = {
    "lint": ((), [
        ["cargo", "fmt", "--check"],
        ["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
        # References in documentation that lead nowhere.
        ["env", "RUSTDOCFLAGS=-Dwarnings", "cargo", "doc", "--no-deps", "--workspace", "--locked"],
        # The load of the benchmarks is a workspace of its own. It is read and not linked, so that librdkafka need not be built.
        ["env", "CARGO_FEATURE_STATIC_EXTERNAL=1", "DEP_LIBRDKAFKA_STATIC_ROOT=.", "cargo", "clippy",
         "--manifest-path", "bench/load/Cargo.toml", "--locked", "--target-dir", "target/lint-load", "--", "-D", "warnings"],
        # Behind clippy, which has downloaded the crates.
        [sys.executable, "-m", "unittest", "discover", "-s", "scripts"],
        [sys.executable, "scripts/dependencies.py"],
        # What no stage runs has to be read at least.
        [sys.executable, "-m", "compileall", "-q", "bench", "compat", "proof", "scripts"],
    ]),
    # Those of the SDK run against the broker's debug build, and PostgreSQL, MariaDB and Redis that they start themselves.
    # The random cases of property tests are the same ones each time, so that a change is judged by what it changes; without the
    # seed `cargo test` looks for new ones.
    "tests": ((), [["env", "PROPTEST_RNG_SEED=1", "cargo", "test", "--workspace", "--locked", "--no-fail-fast"]]),
    # With the same build, which holds every bug and has none switched on.
    "planted": (("tests",), [[sys.executable, "scripts/planted"]]),
    # And again: it checks for overflow.
    "fuzz": (("tests",), [["target/debug/tallymq-fuzz", "all", "--seconds", "10"]]),
    "release": ((), [
        ["cargo", "build", "--release", "--locked", "-p", "tallymq-cli", "-p", "tallymq-sim",
         "--bin", "tallymq", "--bin", "tallymq-check"],
    ]),
    # The README's first command, then everything in its parts; the SDK's come from the build of the tests.
    "faults": (("release",), [["target/release/tallymq", "demo"], [sys.executable, "proof/run.py", "--ci"]]),
    "clients": (("release",), [
        [sys.executable, "-m", "unittest", "discover", "-s", "compat", "-t", "compat"],
        [sys.executable, "compat/run.py"],
    ]),
}


def is_there(program):
    """Whether a program is on the path, or a file matches its pattern."""
    return bool(glob.glob(program)) if program.startswith("/") else bool(shutil.which(program))


def install_tools():
    """Installs the Debian packages whose programs are missing; fails where that is not possible."""
    missing = sorted({package for program, package in DEBIAN_PACKAGES.items() if not is_there(program)})
    if not missing:
        return
    script = os.path.join(ROOT, "scripts", "install.sh")
    subprocess.run(["bash", "-ec", 'source "$0" && install "$@"', script, *missing], check=True)


def asked(command, directory):
    """What a program says of itself."""
    try:
        done = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError as error:
        return str(error)
    return done.stdout


def too_old(wanted, ask=asked):
    """Sentences about programs that the stages `wanted` have no use for; none if all will do."""
    found = []
    for program, directory, command, pattern, least, helps in (each for name in wanted for each in VERSIONS.get(name, ())):
        said = ask(command, directory)
        version, needed = version_in(said, pattern), least()
        if version is None or version < needed:
            has = f"it says {said.strip()[:200]!r}" if version is None else "it is " + ".".join(map(str, version))
            found.append(f"{program} {'.'.join(map(str, needed))} or newer is needed, and {has}: {helps}")
    return found


def run(name, commands):
    """Runs a stage's commands until one fails. Returns None, or the end of what the failed one printed."""
    for command in commands:
        print(f"\n=== {name}: {' '.join(command)}", flush=True)
        last = collections.deque(maxlen=TAIL_LINES)
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as child:
            for line in child.stdout:
                print(line, end="", flush=True)
                last.append(line)
        if child.returncode != 0:
            return f"{' '.join(command)}: exit code {child.returncode}\n{''.join(last)}"
    return None


def main():
    wanted = sys.argv[1:] or list(STAGES)
    unknown = [name for name in wanted if name not in STAGES]
    if unknown:
        sys.exit(f"unknown stage {unknown[0]}; there are: {' '.join(STAGES)}")
    install_tools()
    # Now, and not after an hour.
    if old := too_old(wanted):
        sys.exit("\n".join(old))
    failures, passed = {}, []
    for name in wanted:
        needs, commands = STAGES[name]
        began = time.monotonic()
        if any(need in failures for need in needs):
            failure = "not run, it stands on a stage that failed"
            print(f"\n=== {name}: {failure}", flush=True)
        else:
            failure = run(name, commands)
        if failure is None:
            passed.append(name)
        else:
            failures[name] = failure
        print(f"=== {name}: {'FAILED' if failure else 'passed'} in {time.monotonic() - began:.0f} s", flush=True)
    for name, failure in failures.items():
        print(f"\n=== {name} failed: {failure}", flush=True)
    print("\n" + ", ".join(f"{name} {'FAILED' if name in failures else 'passed'}" for name in wanted))
    print(f"stages: {len(passed)} passed, {len(failures)} failed", flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
