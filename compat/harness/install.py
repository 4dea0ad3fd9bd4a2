"""Clients from their registries, at pinned versions, into `.cache/compat` and nowhere else.

An install is skipped when the pin files are unchanged since it last succeeded. One that
fails raises: a client that cannot be installed is a failure, never a skip.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "compat"
CLIENTS = ROOT / "compat" / "clients"
RETRY_AFTER_S = (5, 30)  # registries have bad moments
COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


class InstallError(Exception):
    """A registry client or compiler failed; holds the end of its output."""


def _download(argv, **more):
    """Runs what gets something from a registry, up to three times."""
    for pause_s in RETRY_AFTER_S:
        try:
            return _run(argv, **more)
        except (InstallError, subprocess.TimeoutExpired):
            time.sleep(pause_s)
    return _run(argv, **more)


def _run(argv, *, cwd, env=None):
    CACHE.mkdir(parents=True, exist_ok=True)
    full = dict(os.environ)
    full.update(env or {})
    done = subprocess.run(
        [str(part) for part in argv],
        cwd=cwd,
        env=full,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=1200,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-20:])
        raise InstallError(f"{' '.join(map(str, argv))}: exit {done.returncode}\n{tail}")


@contextlib.contextmanager
def _alone():
    """One install at a time, over all runs on this machine."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _once(name, pins, install):
    """Runs `install(directory)` unless it succeeded for the same bytes of `pins`."""
    directory = CACHE / name
    with _alone():
        return _installed(directory, pins, install)


def _installed(directory, pins, install):
    digest = hashlib.sha256()
    for pin in pins:
        digest.update(pin.name.encode() + b"\0" + pin.read_bytes())
    stamp = directory / "installed"
    if not stamp.exists() or stamp.read_text() != digest.hexdigest():
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        install(directory)
        stamp.write_text(digest.hexdigest())
    return directory


def _maven(pom, directory, **properties):
    repository = CACHE / "maven"
    argv = ["mvn", "-q", "-B", "-f", pom, f"-Dmaven.repo.local={repository}"]
    argv += [f"-D{name.replace('_', '.')}={value}" for name, value in properties.items()]
    argv += [COPY_DEPENDENCIES, f"-DoutputDirectory={directory}/lib"]
    _download(argv, cwd=directory)


def python(name, instead=None):
    """Python of a virtual environment with the pinned packages of `clients/<name>`, and this release `instead` of one of them."""
    pins = CLIENTS / name / "requirements.txt"

    def install(directory):
        _run([sys.executable, "-m", "venv", directory / "venv"], cwd=directory)
        pip = [directory / "venv" / "bin" / "python", "-m", "pip", "install", "-q"]
        _download(pip + ["--no-deps", "-r", pins], cwd=directory, env=_pip_cache())
        if instead:
            _download(pip + ["--no-deps", instead], cwd=directory, env=_pip_cache())

    return _once(instead or name, [pins], install) / "venv" / "bin" / "python"


def _pip_cache():
    return {"PIP_CACHE_DIR": str(CACHE / "pip")}


def source_distribution(package, version, pins):
    """Unpacked source distribution of a Python package."""

    def install(directory):
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
        _download(pip + [f"{package}=={version}", "-d", directory], cwd=directory, env=_pip_cache())
        archive = next(directory.glob("*.tar.gz"))
        # Filters came with Python 3.11.4.
        shutil.unpack_archive(archive, directory, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))

    directory = _once(f"{package}-source", pins, install)
    return next(path for path in directory.iterdir() if path.is_dir())


def node(name, instead=None):
    """Directory with `node_modules` as the lock file says, and this release `instead` of one of them."""
    source = CLIENTS / name
    pins = [source / "package.json", source / "package-lock.json"]

    def install(directory):
        for pin in pins:
            shutil.copy(pin, directory)
        npm = ["npm", "ci", "--no-audit", "--no-fund", "--cache", CACHE / "npm"]
        _download(npm, cwd=directory)
        if instead:
            npm = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--cache", CACHE / "npm", instead]
            _download(npm, cwd=directory)

    return _once(instead or name, pins, install)


def java(name):
    """Class path with the client's jars and the compiled programs that lie beside its `pom.xml`."""
    source = CLIENTS / name
    return _java(name, source / "pom.xml", sorted(source.glob("*.java")))


def older_java(version):
    """Class path with an older release of the Java client, and the newer one's worker."""
    source = CLIENTS / "java"
    programs = [source / f"{program}.java" for program in ("History", "Worker")]
    return _java(f"java-{version}", source / "older.xml", programs, older_version=version)


def _java(name, pom, programs, **properties):
    def install(directory):
        _maven(pom, directory, **properties)
        classes = directory / "classes"
        _run(["javac", "-cp", f"{directory}/lib/*", "-d", classes, *programs], cwd=directory)

    directory = _once(name, [pom, *programs], install)
    return f"{directory}/classes:{directory}/lib/*"


def kafka_server():
    """Class path of the reference broker: its jars come with the Java client's."""
    return java("java")


def go(name):
    """Compiled worker of a Go client."""
    source = CLIENTS / name
    pins = [source / "go.mod", source / "go.sum", *sorted(source.glob("*.go"))]

    def install(directory):
        env = {
            "GOMODCACHE": str(CACHE / "go" / "mod"),
            "GOCACHE": str(CACHE / "go" / "build"),
            "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
        }
        _download(["go", "mod", "download"], cwd=source, env=env)
        _run(["go", "build", "-o", directory / "worker", "."], cwd=source, env=env)

    return _once(name, pins, install) / "worker"


def cargo(project):
    """Release binary of a Rust project that stands outside the main workspace."""
    target = CACHE / "cargo"
    argv = ["cargo", "build", "--release", "--locked", "--target-dir", target]
    with _alone():
        _run(argv, cwd=project, env={"CARGO_NET_RETRY": "10"})
    return target / "release"


def environment(**more):
    """This process's environment and more, as a worker gets it."""
    return dict(os.environ) | {key: str(value) for key, value in more.items()}
