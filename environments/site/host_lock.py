"""One host at a time on one data folder: the lock goes with the process, however that ends."""

import fcntl
import os
from pathlib import Path

from ontology.errors import Conflict

__all__ = ["HostLock"]


class HostLock:
    """A lock on a data folder."""

    def __init__(self, data: Path) -> None:
        """Lock by a file in a folder, which need not be there yet."""
        self._file = data / "host.lock"
        self._number: int | None = None

    def take(self) -> None:
        """Take the lock.

        Raises: Conflict when another process has it.
        """
        self._file.parent.mkdir(parents=True, exist_ok=True)
        number = os.open(self._file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(number)
            raise Conflict(f"{self._file.parent} is in use: this host is running already") from None
        self._number = number

    def release(self) -> None:
        """Let the lock go, if it is held."""
        if self._number is not None:
            os.close(self._number)
            self._number = None

    def is_taken(self) -> bool:
        """Tell whether somebody has the lock at this moment."""
        try:
            self.take()
        except (Conflict, OSError):
            return True
        self.release()
        return False
