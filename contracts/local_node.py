"""A real EVM node of one's own for tests, benchmarks and trials: anvil, on a free port of this machine."""

import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

from ontology.errors import Unavailable

__all__ = ["CHAIN_ID", "RICH_KEYS", "LocalNode", "anvil_program"]

REPOSITORY = Path(__file__).parents[1]
CHAIN_ID = 31_337
RICH_KEYS = (
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
)
"""Keys of the first two accounts that every anvil funds; printed in its manual, so no secret."""
FUNDS_WEI = 10**21
PATIENCE = 300
"""Tenths of a second that a node may take to answer, or to end."""


def anvil_program() -> Path | None:
    """Return where anvil is: on the path, or where scripts/install-servers puts it."""
    if on_path := shutil.which("anvil"):
        return Path(on_path)
    found = sorted(REPOSITORY.glob(".servers/node_modules/@foundry-rs/anvil-*/bin/anvil"))
    return found[0] if found else None


class LocalNode:
    """A node that mines each transaction at once, and writes its state down each second and when it ends.

    Args:
        folder: where its state is kept; one that is killed starts where it last wrote it down.
    """

    def __init__(self, folder: Path) -> None:
        self._written, self._kept = folder / "state.json", folder / "state-before.json"
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start where the last run ended and wait until the node answers.

        Raises: Unavailable when anvil is not installed or does not answer.
        """
        program = anvil_program()
        if program is None:
            raise Unavailable("anvil is not installed; scripts/install-servers installs it")
        command = [str(program), "--silent", "--port", str(self.port), "--chain-id", str(CHAIN_ID)]
        command += ["--gas-limit", "1000000000", "--state-interval", "1", "--dump-state", str(self._written)]
        if self._restored():
            command += ["--load-state", str(self._kept)]
        self._process = subprocess.Popen(command, start_new_session=True)
        for _ in range(PATIENCE):
            if self._answers():
                return
            if self._process.poll() is not None:
                break
            Event().wait(0.1)
        raise Unavailable("anvil does not answer")

    def stop(self) -> None:
        """End the node; it writes its state down. What it was asked meanwhile is not answered."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the node at once, as by a power cut: what it did in its last second is lost."""
        self._end(signal.SIGKILL)

    def forget(self) -> None:
        """Lose everything that was written down, as by a broken disk; only while it does not run."""
        for path in (self._written, self._kept):
            path.unlink(missing_ok=True)

    def fund(self, addresses: Iterable[str]) -> None:
        """Give addresses what they need to pay for gas."""
        for address in addresses:
            self._asked("anvil_setBalance", address, hex(FUNDS_WEI))

    def _restored(self) -> bool:
        """Keep what the last run wrote down, unless killed while writing; tell whether there is any."""
        with suppress(OSError, ValueError):
            json.loads(self._written.read_bytes())
            self._written.replace(self._kept)
        return self._kept.exists()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, how)
            self._process.wait(timeout=PATIENCE / 10)
            self._process = None

    def _answers(self) -> bool:
        try:
            return "result" in self._asked("eth_chainId")
        except OSError:
            return False

    def _asked(self, method: str, *parameters: object) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=2) as answer:
            return json.loads(answer.read())
