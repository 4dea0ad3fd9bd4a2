"""The stages of the test command, in order. Each is a list of commands; a stage that fails does not stop the ones
after it unless they stand on it. Nothing is skipped: what a stage needs is installed, or the stage fails."""

import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

DEBIAN_PACKAGES = {
    "strace": "strace",
    "mkfs.ext4": "e2fsprogs",
    "mount": "mount",
    "losetup": "mount",
    "java": "default-jdk-headless",
    "mvn": "maven",
    "node": "nodejs",
    "npm": "npm",
    "go": "golang-go",
}

# name -> (what it needs to have passed, commands)
STAGES = {
    "lint": ((), [
        ["cargo", "fmt", "--check"],
        ["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
        # Behind clippy, which has downloaded the crates.
        [sys.executable, "-m", "unittest", "discover", "-s", "scripts"],
        [sys.executable, "scripts/dependencies.py"],
    ]),
    "unit": ((), [["cargo", "test", "--workspace", "--locked"]]),
    "release": ((), [
        ["cargo", "build", "--release", "--locked", "-p", "tallymq-cli", "-p", "tallymq-sim",
         "--bin", "tallymq", "--bin", "tallymq-check"],
    ]),
    "planted": ((), [[sys.executable, "scripts/planted"]]),
    # The debug build, which the tests have made: it checks for overflow.
    "fuzz": (("unit",), [["target/debug/tallymq-fuzz", "all", "--seconds", "10"]]),
    "faults": (("release",), [[sys.executable, "proof/run.py", "--ci"]]),
    "clients": (("release",), [
        [sys.executable, "-m", "unittest", "discover", "-s", "compat", "-t", "compat"],
        [sys.executable, "compat/run.py"],
    ]),
}


def install_tools():
    """Installs the Debian packages whose programs are missing; fails where that is not possible."""
    missing = sorted({package for program, package in DEBIAN_PACKAGES.items() if not shutil.which(program)})
    if not missing:
        return
    root = [] if os.geteuid() == 0 else ["sudo"]
    subprocess.run([*root, "apt-get", "update", "-qq"], check=True)
    subprocess.run([*root, "apt-get", "install", "-y", "-qq", *missing], check=True)


def run(name, commands):
    for command in commands:
        print(f"\n=== {name}: {' '.join(command)}", flush=True)
        if subprocess.run(command, cwd=ROOT).returncode != 0:
            return False
    return True


def main():
    wanted = sys.argv[1:] or list(STAGES)
    unknown = [name for name in wanted if name not in STAGES]
    if unknown:
        sys.exit(f"unknown stage {unknown[0]}; there are: {' '.join(STAGES)}")
    install_tools()
    results = {}
    for name in wanted:
        needs, commands = STAGES[name]
        if any(results.get(need) is False for need in needs):
            print(f"\n=== {name}: not run, it stands on a stage that failed", flush=True)
            results[name] = False
            continue
        began = time.monotonic()
        results[name] = run(name, commands)
        print(f"=== {name}: {'passed' if results[name] else 'FAILED'} in {time.monotonic() - began:.0f} s", flush=True)
    failed = [name for name, passed in results.items() if not passed]
    print("\n" + ", ".join(f"{name} {'passed' if passed else 'FAILED'}" for name, passed in results.items()))
    print(f"stages: {len(results) - len(failed)} passed, {len(failed)} failed", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
