"""The embedded XMPP server: pyjabber in a process of its own, for demonstrations and tests."""

import hashlib
import json
import secrets
import sqlite3
import sys
from pathlib import Path

from environments.live.server import LocalServer, name_in

__all__ = ["EmbeddedServer"]

_ITERATIONS = 1_000
_CREDENTIALS = (
    "CREATE TABLE IF NOT EXISTS credentials "
    "(id INTEGER PRIMARY KEY, jid VARCHAR NOT NULL, hash_pwd VARCHAR NOT NULL)"
)


class EmbeddedServer(LocalServer):
    """pyjabber on a free port of 127.0.0.1, with TLS and accounts of ours.

    It has no presence, PubSub, offline delivery, stream resumption or registration that agents may
    rely on. Letters to other domains are refused by it, and by the transport before it.
    """

    def _prepare(self) -> None:
        with sqlite3.connect(self._database) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(_CREDENTIALS)
        database.close()

    def register(self, address: str, password: str) -> None:
        """Give an address an account, or a new password."""
        name = name_in(self.domain, address)
        salt = secrets.token_bytes(16)
        # Few rounds: the passwords are drawn at random, and each login would pay for every round.
        digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
        stored = f"sha256${_ITERATIONS}${salt.hex()}${digest.hex()}"
        with sqlite3.connect(self._database, timeout=10) as database:
            database.execute("DELETE FROM credentials WHERE jid = ?", (name,))
            database.execute("INSERT INTO credentials (jid, hash_pwd) VALUES (?, ?)", (name, stored))
        database.close()

    def _command(self) -> list[str]:
        self._port_file.unlink(missing_ok=True)
        settings = {
            "domain": self.domain,
            "port": self.port,
            "certificates": str(self.folder),
            "database": str(self._database),
            "port_file": str(self._port_file),
        }
        # -P: the folder of the program, full of names such as `server`, is not to be imported from.
        return [
            sys.executable,
            "-P",
            str(Path(__file__).with_name("embedded_process.py")),
            json.dumps(settings),
        ]

    def _listening_port(self) -> int | None:
        try:
            return int(self._port_file.read_text())
        except (OSError, ValueError):
            return None

    @property
    def _database(self) -> Path:
        return self.folder / "accounts.sqlite"

    @property
    def _port_file(self) -> Path:
        return self.folder / "port"
