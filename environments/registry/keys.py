"""The keys of people, scopes and the registry itself, in a folder of their own.

| file | what |
|---|---|
| `master.key` | wraps all the others; readable by its owner alone |
| `keys.sqlite` | a key a person, a key a scope and epoch, the key that others seal for: all wrapped |

Destroying a key wraps all others anew under a new master key: a copy of the file, a journal or a backup from
before is worthless as soon as the old master key is gone. Backups of the two files belong in two places.
"""

import os
import sqlite3
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from behaviours.decisions.pseudonyms import EpochKeys, secret_identity
from behaviours.sealing import derived_key, opened, public_key_of, sealed
from ontology.errors import Conflict, InvalidInput, Unavailable, problem
from ontology.privacy import PseudonymScope

__all__ = ["KeyStore"]

KEY_BYTES = 32
MASTER, NEXT, KEYS = "master.key", "master.next", "keys.sqlite"
_SCHEMA = "CREATE TABLE IF NOT EXISTS keys (name TEXT PRIMARY KEY, wrapped BLOB NOT NULL) WITHOUT ROWID"
_PRAGMAS = ("secure_delete=ON", "journal_mode=DELETE", "synchronous=FULL", "busy_timeout=10000")
_PERSON, _SCOPE, _BOX, _INDEX, _PROOF = "person ", "scope ", "box", "index", "proof"


class KeyStore:
    """The keys of a registry.

    Args: folder: where its two files are.
    Raises: Unavailable when there is no such folder, Conflict when master key and keys do not belong
        together, InvalidInput when others than its owner may read the master key.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not (folder / KEYS).exists():
            raise Unavailable(f"no keys in {folder}: `parity-mas registry init` makes them")
        self._connection = sqlite3.connect(folder / KEYS, isolation_level=None, check_same_thread=False)
        for pragma in _PRAGMAS:
            self._connection.execute(f"PRAGMA {pragma}")
        self._master = self._finished_rotation()

    @classmethod
    def create(cls, folder: Path) -> "KeyStore":
        """Make the files of a new registry.

        Raises: Conflict when there are keys already.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (folder / KEYS).exists() or (folder / MASTER).exists():
            raise Conflict(f"there are keys in {folder} already")
        master = os.urandom(KEY_BYTES)
        _write_key(folder / MASTER, master)
        with sqlite3.connect(folder / KEYS) as connection:
            connection.execute(_SCHEMA)
            for name in (_BOX, _INDEX, _PROOF):
                connection.execute(
                    "INSERT INTO keys VALUES (?, ?)", (name, sealed(os.urandom(KEY_BYTES), master, name))
                )
        connection.close()
        (folder / KEYS).chmod(0o600)
        return cls(folder)

    # -- people -----------------------------------------------------------------------------------

    def create_person(self, user_id: str) -> bytes:
        """Return a new key for a person."""
        self._put(_PERSON + user_id, key := os.urandom(KEY_BYTES))
        return key

    def of_person(self, user_id: str) -> bytes | None:
        """Return a person's key; nothing when it was destroyed, or never was."""
        return self._get(_PERSON + user_id)

    def destroy_person(self, user_id: str) -> bool:
        """Destroy a person's key for good, and tell whether there was one."""
        if self.of_person(user_id) is None:
            return False
        self._rotate(_PERSON + user_id)
        return True

    # -- scopes -----------------------------------------------------------------------------------

    def of_scope(self, scope: PseudonymScope, epoch: int) -> bytes:
        """Return the key of a scope in an epoch, made when it is asked for first.

        Raises: Unavailable when it was destroyed.
        """
        name = f"{_SCOPE}{scope} {epoch}"
        key = self._get(name)
        if key is None:
            if epoch < self._oldest_epoch():
                raise Unavailable(f"the key of {scope} in epoch {epoch} was destroyed")
            self._connection.execute(
                "INSERT OR IGNORE INTO keys VALUES (?, ?)",
                (name, sealed(os.urandom(KEY_BYTES), self._current(), name)),
            )
            key = self._get(name)
        assert key is not None
        return key

    def epoch_keys(
        self, scope: PseudonymScope, epochs: Iterable[int], people: Iterable[tuple[str, str]]
    ) -> EpochKeys:
        """Return the keys of a scope in some epochs, with the secret identities of people (name, user id)."""
        found = ((name, self.of_person(user_id)) for name, user_id in people)
        identities = {name: secret_identity(key) for name, key in found if key is not None}
        return EpochKeys({epoch: self.of_scope(scope, epoch) for epoch in epochs}, identities)

    def epochs(self, scope: PseudonymScope) -> list[int]:
        """Return the epochs of a scope whose keys are there, ascending."""
        return sorted(int(name.rsplit(" ", 1)[1]) for name in self._names(f"{_SCOPE}{scope} "))

    def forget_epochs(self, before: int) -> int:
        """Destroy the keys of all epochs before one, and return how many there were."""
        past = [name for name in self._names(_SCOPE) if int(name.rsplit(" ", 1)[1]) < before]
        self._put("oldest epoch", str(max(before, self._oldest_epoch())).encode())
        if past:
            self._rotate(*past)
        return len(past)

    def _oldest_epoch(self) -> int:
        return int(self._get("oldest epoch") or b"0")

    # -- the registry's own -----------------------------------------------------------------------

    @property
    def box_key(self) -> bytes:
        """The private key that others seal personal details for."""
        return self._own(_BOX)

    @property
    def box_public_key(self) -> bytes:
        """The public key that others seal personal details with."""
        return public_key_of(self.box_key)

    @property
    def index_key(self) -> bytes:
        """Under which sites and e-mails are found without being written down."""
        return self._own(_INDEX)

    @property
    def organisations_key(self) -> bytes:
        """Under which organisations, who are no persons, have their pseudonyms."""
        return derived_key(self.index_key, b"parity-mas|organisations", KEY_BYTES)

    def rotate(self) -> None:
        """Wrap all keys anew under a new master key."""
        self._rotate()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _own(self, name: str) -> bytes:
        key = self._get(name)
        if key is None:
            raise Conflict(f"{self._folder / KEYS} has no key {name!r}")
        return key

    def _names(self, prefix: str) -> list[str]:
        rows = self._connection.execute(
            "SELECT name FROM keys WHERE substr(name, 1, ?) = ?", (len(prefix), prefix)
        )
        return [name for (name,) in rows]

    def _put(self, name: str, key: bytes) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO keys VALUES (?, ?)", (name, sealed(key, self._current(), name))
        )

    def _get(self, name: str) -> bytes | None:
        row = self._connection.execute("SELECT wrapped FROM keys WHERE name = ?", (name,)).fetchone()
        return None if row is None else self._unwrapped(name, row[0])

    def _unwrapped(self, name: str, wrapped: bytes) -> bytes:
        """Return a key; when another process has changed the master key, read that again."""
        try:
            return opened(wrapped, self._master, name)
        except InvalidInput:
            self._master = self._finished_rotation()
        return opened(wrapped, self._master, name)

    def _current(self) -> bytes:
        """Return the master key that the keys are wrapped under now."""
        self._own(_PROOF)
        return self._master

    def _rotate(self, *without: str) -> None:
        """Wrap all keys but some under a new master key; killed at any point, it is done or not."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            old, new = self._current(), os.urandom(KEY_BYTES)
            _write_key(self._folder / NEXT, new)
            rows = self._connection.execute("SELECT name, wrapped FROM keys").fetchall()
            self._connection.execute("DELETE FROM keys")
            self._connection.executemany(
                "INSERT INTO keys VALUES (?, ?)",
                [(n, sealed(opened(wrapped, old, n), new, n)) for n, wrapped in rows if n not in without],
            )
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._master = self._finished_rotation()

    def _finished_rotation(self) -> bytes:
        """Return the master key; where a rotation was cut off, finish it or let it go."""
        wrapped = self._connection.execute("SELECT wrapped FROM keys WHERE name = ?", (_PROOF,)).fetchone()
        for path in (self._folder / MASTER, self._folder / NEXT):
            if path.exists() and wrapped and _fits(key := _read_key(path), wrapped[0]):
                if path.name == NEXT:
                    with suppress(FileNotFoundError):  # another process has finished it
                        path.replace(self._folder / MASTER)
                return key
        raise Conflict(f"{self._folder / MASTER} is not the master key of {KEYS}")


def _fits(master: bytes, proof: bytes) -> bool:
    try:
        opened(proof, master, _PROOF)
    except InvalidInput:
        return False
    return True


def _write_key(path: Path, key: bytes) -> None:
    """Write a key that only its owner may read, on the disk before this returns."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key.hex())
        file.flush()
        os.fsync(file.fileno())


def _read_key(path: Path) -> bytes:
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InvalidInput(problem(str(path), oct(path.stat().st_mode & 0o777), "0o600: a secret"))
    try:
        return bytes.fromhex(path.read_text())
    except ValueError as error:
        raise InvalidInput(problem(str(path), "", "a key in hexadecimal")) from error
