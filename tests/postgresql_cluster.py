"""A PostgreSQL of the tests' own: in a temporary folder, on a free port, to be killed at will."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from itertools import count
from pathlib import Path

import psycopg
import pytest

WAIT_S = 30
PASSWORD = "no secret, guards empty databases on loopback for minutes"


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, of the newest version that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def _server_user() -> dict[str, object]:
    """Return as whom PostgreSQL runs: it refuses root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise AssertionError("PostgreSQL refuses to run as root, and there is nobody else")


class PostgresqlCluster:
    """A cluster that listens on loopback only and is its tests' alone.

    Whoever connects needs the password, which is in `passfile`.

    Args: settings: beside PostgreSQL's own; by default not to wait for the disk, which kills cannot harm.
    """

    def __init__(self, *settings: str) -> None:
        self._settings = settings or ("fsync=off", "full_page_writes=off")
        folder = programs()
        assert folder is not None
        self._programs = folder
        self._folder = Path(tempfile.mkdtemp(prefix="parity-postgresql-"))
        self._data = self._folder / "data"
        self._as = _server_user()
        self._numbers = count(1)
        self._server: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.passfile = self._folder / "passfile"
        self._initialise()

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if self._as:
            for path in (self._folder, password):
                os.chown(path, self._as["user"], self._as["group"])
        initdb = ["initdb", "-D", str(self._data), "-U", "parity", "-E", "UTF8", "--locale=C.UTF-8"]
        initdb += ["--auth=scram-sha-256", f"--pwfile={password}", "--no-sync"]
        subprocess.run(
            [self._programs / initdb[0], *initdb[1:]],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            **self._as,
        )
        password.unlink()
        self.passfile.write_text(f"127.0.0.1:*:*:parity:{PASSWORD}\n")
        self.passfile.chmod(0o600)

    def start(self) -> None:
        """Start the server in a process group of its own, and wait until it answers."""
        options = ["-D", str(self._data), "-p", str(self.port), "-k", "", "-h", "127.0.0.1"]
        self._server = subprocess.Popen(
            [self._programs / "postgres", *options, *(part for s in self._settings for part in ("-c", s))],
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "server.log").open("ab"),
            cwd=self._folder,
            start_new_session=True,
            **self._as,
        )
        self._await()

    def _await(self) -> None:
        for _ in range(WAIT_S * 20):
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                assert self._server is not None
                assert self._server.poll() is None, self._last_words()
                signal.sigtimedwait([], 0.05)
        self._end(signal.SIGKILL)
        raise AssertionError(f"PostgreSQL does not answer; it says {self._last_words()}")

    def _last_words(self) -> str:
        return "".join((self._folder / "server.log").read_text().splitlines(keepends=True)[-10:])

    def kill(self) -> None:
        """Let the server and all that it has forked die at once, as in a crash."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Stop the server and leave nothing behind."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        if self._server is not None:
            os.killpg(self._server.pid, how)
            self._server.wait(WAIT_S)
            self._server = None

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"test_{next(self._numbers)}"
        with self.connect() as connection:
            connection.autocommit = True
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        return f"postgresql://parity@127.0.0.1:{self.port}/{name}?passfile={self.passfile}"

    def connect(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        """Connect to a database with the bare driver."""
        return psycopg.connect(
            f"host=127.0.0.1 port={self.port} user=parity dbname={database} passfile={self.passfile}",
            connect_timeout=5,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def required() -> None:
    """Skip (or, where servers are required, fail) without PostgreSQL."""
    if programs() is None:
        reason = "PostgreSQL is not installed: scripts/install-servers installs it"
        if os.environ.get("PARITY_REQUIRE_SERVERS"):
            pytest.fail(reason)
        pytest.skip(reason)
