"""Files that are there whole or not at all, whenever the power goes."""

import contextlib
import os
import tempfile
from pathlib import Path

from ontology.errors import Unavailable

__all__ = ["write_whole"]


def write_whole(file: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a file so that after a power cut the old content or the new one is there.

    Raises: Unavailable when the disk does not take it; then the old content stands.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        number, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        raise Unavailable(f"{file}: {error.strerror}") from error
    try:
        with os.fdopen(number, "wb") as written:
            written.write(content)
            written.flush()
            os.fchmod(written.fileno(), mode)
            os.fsync(written.fileno())
        Path(draft).replace(file)
        _settle(file.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(draft).unlink()
        raise Unavailable(f"{file}: {error.strerror}") from error


def _settle(folder: Path) -> None:
    """Have the disk note that a file has its new name."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
