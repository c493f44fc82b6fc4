"""Runs a server and ends it with its whole process group as soon as our own process is gone.

Run as a program, by path: `python guard.py FOLDER COMMAND...`, with standard input a pipe that our
process holds open. A pipe also closes when a process is killed, which no handler of ours would see.
The server's folder, with its keys, then goes too.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading


def main(folder: str, command: list[str]) -> int:
    """Run a command until it ends, or until standard input closes; return its exit code."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL)
    )
    orphaned = threading.Event()
    threading.Thread(target=_watch, args=(server, orphaned), daemon=True).start()
    code = server.wait()
    if orphaned.is_set():
        shutil.rmtree(folder, ignore_errors=True)
        os.killpg(os.getpgrp(), signal.SIGKILL)
    return code


def _watch(server: subprocess.Popen[bytes], orphaned: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    orphaned.set()
    server.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
