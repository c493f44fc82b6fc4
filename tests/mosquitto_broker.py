"""Mosquitto for the tests about MQTT: one broker a fixture, in a process group of its own, on a free port."""

import asyncio
import base64
import hashlib
import os
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from environments.live.server import LocalServer
from ontology.errors import Unavailable

__all__ = ["MosquittoBroker", "free_port", "running_broker"]

_ITERATIONS = 101


class MosquittoBroker(LocalServer):
    """A broker on 127.0.0.1: open to all, or with accounts (name to password); in clear, or by TLS.

    A TLS client connects to `localhost` and trusts `ca_file`. `kill` and `start` are a crash and what
    follows; what clients do not keep is gone then, for the broker keeps nothing on disk.
    """

    def __init__(
        self, accounts: Mapping[str, str] | None = None, *, tls: bool = False, access: str = ""
    ) -> None:
        """Prepare a broker; `access` is Mosquitto's acl_file (`user`, `topic`, `pattern` lines)."""
        self.accounts, self.tls, self.access = dict(accounts or {}), tls, access
        super().__init__(self.accounts)

    @property
    def url(self) -> str:
        """Where clients connect: `mqtt://` or `mqtts://`, without a name or password."""
        return f"{'mqtts' if self.tls else 'mqtt'}://localhost:{self.port}"

    def register(self, address: str, password: str) -> None:
        """Give a name a password, from the next start on."""
        self.accounts[address] = password

    def _prepare(self) -> None:
        pass

    def _command(self) -> list[str]:
        program = _program()
        if program is None:
            raise Unavailable("Mosquitto is not installed; scripts/install-servers installs it")
        self.port = self.port or free_port(self.host)
        lines = [
            f"listener {self.port} {self.host}",
            "persistence false",
            "log_type error",
            "set_tcp_nodelay true",
        ]
        lines += ["user root"] if os.geteuid() == 0 else []
        lines += [f"allow_anonymous {'false' if self.accounts else 'true'}"]
        if self.accounts:
            hashed = "".join(f"{name}:{_hashed(password)}\n" for name, password in self.accounts.items())
            lines += [f"password_file {self._written('passwords', hashed)}"]
        if self.access:
            lines += [f"acl_file {self._written('access', self.access)}"]
        if self.tls:
            lines += [
                f"certfile {self.folder}/{self.domain}_cert.pem",
                f"keyfile {self.folder}/{self.domain}_key.pem",
            ]
        return [program, "-c", str(self._written("mosquitto.conf", "\n".join([*lines, ""])))]

    def _listening_port(self) -> int | None:
        with socket.socket() as probe:
            return self.port if probe.connect_ex((self.host, self.port)) == 0 else None

    def _written(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text(text)
        return file


def running_broker(broker: MosquittoBroker) -> Iterator[MosquittoBroker]:
    """Start a broker, yield it and stop it; skip (fail, where servers are required) without Mosquitto."""
    if _program() is None:
        missing = pytest.fail if os.environ.get("PARITY_REQUIRE_SERVERS") == "1" else pytest.skip
        missing("Mosquitto is not installed: scripts/install-servers installs it")
    asyncio.run(broker.start())
    yield broker
    asyncio.run(broker.stop())


def _program() -> str | None:
    return shutil.which("mosquitto", path=os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin")


def free_port(host: str = "127.0.0.1") -> int:
    """Ask the system for a port that nobody has; whoever asked takes it a moment later."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _hashed(password: str) -> str:
    """Return a password as `mosquitto_passwd` keeps it: PBKDF2 of SHA-512, so none is on a command line."""
    salt = secrets.token_bytes(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"
