"""The stages of the test command, in order. Each is a list of commands; a stage that fails does not stop the ones
after it unless they stand on it. Nothing is skipped: what a stage needs is installed, or the stage fails."""

import collections
import glob
import os
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

# name -> (what it needs to have passed, commands)
STAGES = {
    "lint": ((), [
        ["cargo", "fmt", "--check"],
        ["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
        # Behind clippy, which has downloaded the crates.
        [sys.executable, "-m", "unittest", "discover", "-s", "scripts"],
        [sys.executable, "scripts/dependencies.py"],
        # What no stage runs has to be read at least.
        [sys.executable, "-m", "compileall", "-q", "bench", "compat", "proof", "scripts"],
    ]),
    # Those of the SDK run against the broker's debug build, and PostgreSQL, MariaDB and Redis that they start themselves.
    "tests": ((), [["cargo", "test", "--workspace", "--locked", "--no-fail-fast"]]),
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
    root = [] if os.geteuid() == 0 else ["sudo"]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([*root, "apt-get", "update", "-qq"], check=True, env=quiet)
    subprocess.run([*root, "apt-get", "install", "-y", "-qq", *missing], check=True, env=quiet)


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
