"""Runs a server and ends it with its whole process group as soon as our own process is gone.

Run as a program, by path: `python guard.py COMMAND...`, with standard input a pipe that our process
holds open. A pipe also closes when a process is killed, which no handler of ours would see.
"""

import os
import signal
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    """Run a command until it ends, or until standard input closes; return its exit code."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL)
    )
    threading.Thread(target=_end_when_orphaned, daemon=True).start()
    return server.wait()


def _end_when_orphaned() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
