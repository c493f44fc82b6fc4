"""Power cuts, played from a trace of what a process did to its files (`write_trace.c`).

At a cut every write before the last sync of its file is on the disk. Of those after it any may be missing,
whatever their order, and one may be torn between two sectors.
"""

import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

SECTOR = 512


class Act(NamedTuple):
    """One thing that was done to a file."""

    kind: str
    name: str
    offset: int
    data: bytes


def build(folder: Path) -> Path:
    """Compile the shim and return the library."""
    library = folder / "write_trace.so"
    source = Path(__file__).with_name("write_trace.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-w", "-o", library, source, "-ldl"], check=True)
    return library


def read_trace(path: Path) -> list[Act]:
    """Read what was written down."""
    raw, at, acts = path.read_bytes(), 0, []
    while at < len(raw):
        end = raw.index(b"\n", at)
        kind, file, offset, length = raw[at:end].decode().split(" ")
        at = end + 1
        data = raw[at : at + int(length)] if kind == "write" else b""
        at += len(data)
        acts.append(Act(kind, Path(file).name, int(offset), data))
    return acts


def files_after_a_cut(acts: list[Act], rng: np.random.Generator) -> dict[str, bytes]:
    """Return the files as a power cut right after some acts may leave them."""
    last_sync = {act.name: number for number, act in enumerate(acts) if act.kind == "sync"}
    files: dict[str, bytearray] = {}
    for number, act in enumerate(acts):
        is_safe = number < last_sync.get(act.name, -1)
        if act.kind == "unlink":
            files.pop(act.name, None)
        elif act.kind != "sync" and (is_safe or rng.random() < 0.5):
            _do(
                files.setdefault(act.name, bytearray()), act, torn=not is_safe and rng.random() < 0.3, rng=rng
            )
    return {name: bytes(content) for name, content in files.items()}


def _do(content: bytearray, act: Act, *, torn: bool, rng: np.random.Generator) -> None:
    if act.kind == "truncate":
        del content[act.offset :]
        content.extend(bytes(act.offset - len(content)))
        return
    data = act.data
    if torn:
        data = data[: int(rng.integers(len(data) + 1)) // SECTOR * SECTOR]
    content.extend(bytes(max(0, act.offset + len(data) - len(content))))
    content[act.offset : act.offset + len(data)] = data
