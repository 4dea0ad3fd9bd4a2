"""Where the harness finds the binary, the checker and its scratch space. Builds and installs nothing but the client."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TALLYMQ = ROOT / "target" / "release" / "tallymq"
CHECKER = ROOT / "target" / "release" / "tallymq-check"
SCRATCH = ROOT / ".cache" / "proof"

sys.path.insert(0, str(ROOT / "compat"))
from harness import install  # noqa: E402


def enter_client_environment():
    """Goes on in the virtual environment that holds the pinned confluent-kafka, installing it if need be."""
    python = install.python("confluent")
    if Path(sys.prefix).resolve() != python.parent.parent.resolve():
        os.execv(python, [str(python), *sys.argv])


def checker():
    """The history checker; raises if it is not built."""
    path = Path(CHECKER)
    if not path.exists():
        raise SystemExit(f"{path} is missing: cargo build --release -p tallymq-sim --bin tallymq-check")
    return path
