"""Kills a program in the middle of its work."""

import os
import signal
import subprocess
import sys
from pathlib import Path


def killed_after(program: str, path: Path, lines: int) -> int:
    """Run a program that counts on its output, kill it once it has come this far, return the last it said."""
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = 0
    for line in process.stdout:
        said = int(line)
        if said >= lines:
            break
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read().split(b"\n")[:-1]
    process.stdout.close()
    process.wait()
    return int(rest[-1]) if rest else said
