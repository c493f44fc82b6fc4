"""A real EVM node for tests: anvil in a process group of its own, on a free port of this machine."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CHAIN_ID = 31_337
RICH_KEYS = (
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
)
"""Keys of the first two accounts that every anvil funds; printed in its manual, so no secret."""


def anvil_program() -> Path | None:
    """Return where anvil is: on the path, or where scripts/install-servers puts it."""
    if on_path := shutil.which("anvil"):
        return Path(on_path)
    found = sorted(REPOSITORY.glob(".servers/node_modules/@foundry-rs/anvil-*/bin/anvil"))
    return found[0] if found else None


def need_anvil() -> Path:
    """Return where anvil is, or skip the test (fail, where servers are required)."""
    program = anvil_program()
    if program is None:
        missing = pytest.fail if os.environ.get("PARITY_REQUIRE_SERVERS") == "1" else pytest.skip
        missing("anvil is not installed: scripts/install-servers installs it")
    assert program is not None
    return program


class AnvilNode:
    """A node that mines each transaction at once and, told to, writes its state down when it ends."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start where the last run ended and wait until the node answers."""
        program = need_anvil()
        command = [str(program), "--silent", "--port", str(self.port), "--chain-id", str(CHAIN_ID)]
        command += ["--state", str(self._state), "--gas-limit", "1000000000"]
        self._process = subprocess.Popen(command, start_new_session=True)
        for _ in range(300):
            if self._answers():
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError("anvil does not answer")

    def kill(self) -> None:
        """End the node at once: what it was asked meanwhile is not answered. It writes its state down."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(timeout=30)
            self._process = None

    def _answers(self) -> bool:
        body = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=1) as answer:
                return b"result" in answer.read()
        except OSError:
            return False
