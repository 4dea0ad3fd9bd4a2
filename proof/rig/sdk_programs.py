"""What the tests of the SDK build: its test program, and the services of crates/client/examples.

Built as `cargo test --workspace` builds them, which has been run before in the whole check: with overflow checked, and not a second time
with the features of their own.
"""

import functools
import json
import os
import subprocess
from pathlib import Path

from . import paths

CLIENT = paths.ROOT / "crates" / "client"


@functools.cache
def _executables():
    """Where each program of the workspace is, by its source."""
    argv = ["cargo", "test", "--locked", "--no-run", "--workspace", "--message-format=json-render-diagnostics"]
    built = subprocess.run(argv, cwd=paths.ROOT, stdout=subprocess.PIPE, text=True, timeout=1800, check=True)
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    programs = [message for message in messages if message.get("executable")]
    return {Path(message["target"]["src_path"]): Path(message["executable"]) for message in programs}


def tests():
    """The test program."""
    return _executables()[CLIENT / "tests" / "it" / "main.rs"]


@functools.cache
def services():
    """The order services; `ORDER_SERVICES` names another build of them."""
    named = os.environ.get("ORDER_SERVICES")
    return Path(named) if named else _executables()[CLIENT / "examples" / "order-services" / "main.rs"]
