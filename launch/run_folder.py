"""The run folder: a manifest, Parquet tables that are byte-identical for equal content, and a report."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from launch.scenario import Scenario, intervals_of, scenario_hash, span_s
from launch.tables import TABLES, RunTables
from ontology.base import INTERVAL_S
from ontology.errors import InvalidInput, Problem

__all__ = ["Interrupted", "Progress", "Run", "RunFolder", "RunResult", "RunTables", "next_folder", "read_run"]

FORMAT = 1
MANIFEST = "manifest.json"
NETWORK = "network.json"
MESSAGES = "messages.sqlite"
CHAIN = "chain.sqlite"
REPORT = "report.html"
LIBRARIES = (
    "mesa",
    "numpy",
    "scipy",
    "power-grid-model",
    "pvlib",
    "demandlib",
    "msgspec",
    "pyarrow",
    "opendssdirect.py",
    "simbench",
    "spade",
    "pyjabber",
    "web3",
    "eth-tester",
    "py-evm",
)


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    interval: int
    """Intervals that are settled."""
    intervals: int
    """Intervals that the run has."""
    time_s: float
    """The agents' time, epoch seconds."""
    letters: int
    """Letters sent so far."""
    grid_state: str = ""
    """The traffic light of the latest interval."""


@dataclass(frozen=True)
class RunResult:
    """What came out of a run."""

    scenario: Scenario
    tables: RunTables
    mode: str
    """`offline`, `embedded`, `prosody` or `external`."""
    complete: bool
    """Every interval of the scenario is settled."""
    letters: int
    wall_s: float
    """Real seconds that the run took."""
    accounts: Mapping[str, str] = field(default_factory=dict)
    """Account (pseudonym) to what a reader knows it as: a site's id, `aggregator`, `grid`."""
    register: str = ""
    """Where the register was kept: `memory`, the address of its contract, or nowhere."""
    deadlines_missed: int = 0
    """Above zero, a live run is not comparable with an offline one."""
    notes: tuple[str, ...] = ()
    """What the reader of the results must know."""
    contract: str = ""
    """Address of the contract with the tokens; empty where the ledger is another shard's."""
    folder: Path | None = None


class Interrupted(KeyboardInterrupt):
    """A run that was stopped by its user; carries what there is."""

    def __init__(self, result: RunResult) -> None:
        """Keep the partial result."""
        super().__init__("interrupted")
        self.result = result


@dataclass(frozen=True)
class Run:
    """A run folder that was read."""

    path: Path
    manifest: Mapping[str, Any]
    scenario: Scenario
    tables: RunTables

    @property
    def messages_path(self) -> Path:
        """Return the path of the recorded letters."""
        return self.path / MESSAGES

    @property
    def result(self) -> RunResult:
        """Return what was written, as the run returned it."""
        values = self.manifest
        return RunResult(
            scenario=self.scenario,
            tables=self.tables,
            mode=values["mode"],
            complete=values["complete"],
            letters=values["letters"],
            wall_s=values["wall_s"],
            accounts=values["accounts"],
            register=values.get("register", ""),
            deadlines_missed=values["deadlines_missed"],
            notes=tuple(values["notes"]),
            contract=values.get("contract", ""),
            folder=self.path,
        )


class RunFolder:
    """Writes a run folder: says at once that it is incomplete, and at the end what came out."""

    def __init__(self, path: Path, scenario: Scenario, mode: str) -> None:
        """Prepare a folder, emptying an earlier run's.

        Raises: InvalidInput when the folder holds something else, or cannot be written.
        """
        self.path = path
        self.scenario = scenario
        self.mode = mode
        self._scenario_hash = scenario_hash(scenario)
        """Of the files that it names as they are now"""
        try:
            self._prepare()
        except OSError as error:
            raise InvalidInput(
                (Problem("--out", str(path), f"cannot be written: {error.strerror}"),)
            ) from error

    @property
    def messages_path(self) -> Path:
        """Return where the recorder writes letters."""
        return self.path / MESSAGES

    @property
    def chain_path(self) -> Path:
        """Return where an embedded chain is kept for which the scenario names no file."""
        return self.path / CHAIN

    def finish(self, result: RunResult) -> Path:
        """Write tables, report and manifest of a run, whole or partial; returns the folder."""
        from launch.report import render_report

        tables = result.tables.checked()
        for name in TABLES:
            write_table(self.path / f"{name}.parquet", name, getattr(tables, name))
        checked = replace(result, tables=tables, folder=self.path)
        replace_file(self.path / REPORT, render_report(checked).encode())
        self._write_manifest(_outcome(result, tables))
        return self.path

    def _prepare(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise InvalidInput((Problem("--out", str(self.path), "must be a folder"),))
        self.path.mkdir(parents=True, exist_ok=True)
        if any(self.path.iterdir()) and not _is_ours(self.path):
            expected = "must be new, empty or an earlier run's folder: nothing of yours is overwritten"
            raise InvalidInput((Problem("--out", str(self.path), expected),))
        for name in (*(f"{table}.parquet" for table in TABLES), REPORT, MESSAGES, CHAIN, f"{CHAIN}.balances"):
            for suffix in ("", "-wal", "-shm"):
                (self.path / f"{name}{suffix}").unlink(missing_ok=True)
        self._keep_network()
        self._write_manifest({"complete": False, "intervals_done": 0})

    def _keep_network(self) -> None:
        """Keep a copy of an imported network: its file may have changed when somebody runs this again."""
        from environments.networks import feeder_named, is_imported, network_json

        name, copy = self.scenario.grid.network, self.path / NETWORK
        if is_imported(name):
            replace_file(copy, network_json(feeder_named(name)))
        else:
            copy.unlink(missing_ok=True)

    def _write_manifest(self, outcome: Mapping[str, Any]) -> None:
        start_s, end_s = span_s(self.scenario)
        values = {
            "format": FORMAT,
            "name": self.scenario.name,
            "mode": self.mode,
            "seed": self.scenario.seed,
            "scenario_hash": self._scenario_hash,
            "start_s": start_s,
            "end_s": end_s,
            "intervals": intervals_of(self.scenario),
            **_NOTHING_YET,
            **outcome,
            "versions": versions(),
            "scenario": msgspec.to_builtins(self.scenario),
        }
        replace_file(self.path / MANIFEST, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())


_NOTHING_YET: dict[str, Any] = {
    "letters": 0,
    "wall_s": 0.0,
    "deadlines_missed": 0,
    "notes": [],
    "accounts": {},
    "register": "",
    "contract": "",
}


def read_run(path: Path) -> Run:
    """Read a run folder, whole or partial; tables that a crash left unwritten are empty.

    Raises: InvalidInput when it is none.
    """
    if not _is_ours(path):
        raise InvalidInput((Problem("run folder", str(path), f"must be a folder with a {MANIFEST}"),))
    manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    try:
        scenario = msgspec.convert(manifest["scenario"], Scenario)
    except msgspec.ValidationError as error:
        expected = f"must be written by this version of parity-mas: {error}"
        raise InvalidInput((Problem("run folder", str(path), expected),)) from error
    tables = {name: read_table(path / f"{name}.parquet") for name in TABLES}
    return Run(path=path, manifest=manifest, scenario=scenario, tables=RunTables(**tables).checked())


def write_table(path: Path, table: str, columns: Mapping[str, np.ndarray]) -> None:
    """Write a table as Parquet; equal content gives equal bytes, NaN becomes null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"int64": pa.int64(), "float64": pa.float64(), "string": pa.string(), "bool": pa.bool_()}
    fields = [
        pa.field(c.name, kinds[c.kind], metadata={"unit": c.unit, "meaning": c.meaning})
        for c in TABLES[table][1]
    ]
    arrays = [pa.array(columns[f.name], type=f.type, from_pandas=True) for f in fields]
    content = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    partial = path.with_name(path.name + ".part")
    pq.write_table(content, partial, compression="zstd", row_group_size=1 << 20)
    partial.replace(path)


def read_table(path: Path) -> dict[str, np.ndarray]:
    """Read a Parquet table into numpy columns; null becomes NaN. A file that is not there gives none."""
    import pyarrow.parquet as pq

    if not path.exists():
        return {}
    table = pq.read_table(path)
    return {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}


def versions() -> dict[str, str]:
    """Return the versions of this package, Python and the libraries that results depend on."""
    found = {"python": platform.python_version()}
    for name in ("parity-mas", *LIBRARIES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def next_folder(parent: Path, name: str) -> Path:
    """Return the first of `name-001`, `name-002`, … that is not there yet."""
    number = 1
    while (parent / f"{name}-{number:03d}").exists():
        number += 1
    return parent / f"{name}-{number:03d}"


def _outcome(result: RunResult, tables: RunTables) -> dict[str, Any]:
    starts = np.unique(np.asarray(tables.market["start_s"]))
    return {
        "complete": result.complete,
        "intervals_done": len(starts),
        "ended_s": int(starts[-1]) + INTERVAL_S if len(starts) else None,
        "letters": result.letters,
        "wall_s": round(result.wall_s, 3),
        "deadlines_missed": result.deadlines_missed,
        "notes": list(result.notes),
        "accounts": dict(result.accounts),
        "register": result.register,
        "contract": result.contract,
    }


def _is_ours(path: Path) -> bool:
    try:
        return "scenario_hash" in json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def replace_file(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all."""
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
