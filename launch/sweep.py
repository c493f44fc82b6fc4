"""Sweeps: a scenario under many settings and seeds, over worker processes or a Dask cluster; one table."""

import csv
import io
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from launch.document import parse_value
from launch.run_folder import replace_file, versions
from launch.scenario import Scenario, load_scenario, scenario_hash
from launch.summary import as_row, summarise
from ontology.errors import InvalidInput, ParityError, Problem

__all__ = ["Job", "parse_seeds", "parse_settings", "plan", "run_job", "run_jobs", "write_sweep"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One run of a sweep: what was varied, and the whole scenario."""

    number: int
    varied: Mapping[str, Any]
    scenario: Scenario
    folder: Path | None = None


def parse_settings(texts: Sequence[str], several: bool = True) -> dict[str, list[Any]]:
    """Read `path=v1,v2` settings, or with one value each.

    Raises: InvalidInput for each that is not one.
    """
    settings: dict[str, list[Any]] = {}
    problems = []
    for text in texts:
        path, equals, values = text.partition("=")
        if not equals or not path.strip() or not all(value.strip() for value in _split(values)):
            problems.append(Problem("--set", text, "must be path=value or path=value,value"))
            continue
        settings[path.strip()] = [
            parse_value(value.strip()) for value in (_split(values) if several else [values])
        ]
    if problems:
        raise InvalidInput(tuple(problems))
    return settings


def parse_seeds(text: str) -> list[int]:
    """Read seeds: `3`, `1..5` (both ends), `1,4,7`, or a mixture.

    Raises: InvalidInput when it is none of these.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dots, last = part.partition("..")
        if not first.strip().isdigit() or (dots and not last.strip().isdigit()):
            raise InvalidInput((Problem("--seeds", text, "must be seeds such as 3, 1..5 or 1,4,7"),))
        seeds += range(int(first), int(last) + 1) if dots else [int(first)]
    if not seeds:
        raise InvalidInput((Problem("--seeds", text, "must name at least one seed"),))
    return list(dict.fromkeys(seeds))


def plan(
    path: Path, settings: Mapping[str, Sequence[Any]], seeds: Sequence[int], keep: Path | None = None
) -> list[Job]:
    """Return a job for every combination of settings and seeds; run folders are kept below `keep`.

    Raises: InvalidScenario for the first combination that does not fit.
    """
    jobs: list[Job] = []
    for values in itertools.product(*settings.values()):
        varied = dict(zip(settings, values, strict=True))
        for seed in seeds:
            scenario = load_scenario(path, {**varied, "seed": seed})
            number = len(jobs) + 1
            folder = keep / f"run-{number:04d}" if keep else None
            jobs.append(Job(number, {**varied, "seed": seed}, scenario, folder))
    return jobs


def run_job(job: Job) -> Row:
    """Run one job offline and return its row; what goes wrong is in the column `error`."""
    from launch import runs
    from launch.logs import configure_logs

    configure_logs()

    row: Row = {"run": job.number, **job.varied, "error": ""}
    try:
        result = runs.run_offline(job.scenario, job.folder, lambda progress: None)
    except ParityError as error:
        return {**row, "error": f"{type(error).__name__}: {error}"}
    return {**row, **as_row(summarise(result))}


def run_jobs(jobs: Sequence[Job], workers: int = 1, dask: str | None = None) -> Iterator[Row]:
    """Yield the rows of jobs as they are done: here, in worker processes, or on a Dask cluster's address.

    Raises: Unavailable when the cluster cannot be reached.
    """
    if dask is not None:
        yield from _on_dask(jobs, dask)
    elif workers <= 1:
        yield from map(run_job, jobs)
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            futures = [pool.submit(run_job, job) for job in jobs]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def write_sweep(folder: Path, rows: Sequence[Row], varied: Sequence[str], scenario: Scenario) -> list[Path]:
    """Write `sweep.parquet`, `sweep.csv`, `sweep.html` with plots, and `sweep.json`; returns the paths."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from launch.sweep_report import render_sweep

    ordered = sorted(rows, key=lambda row: row["run"])
    names = list(dict.fromkeys(name for row in ordered for name in row))
    columns = {name: _column([row.get(name) for row in ordered]) for name in names}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(ordered)
    about = {
        "scenario": scenario.name,
        "scenario_hash": scenario_hash(scenario),
        "varied": list(varied),
        "runs": len(ordered),
        "versions": versions(),
    }
    contents = {
        "sweep.parquet": buffer.getvalue(),
        "sweep.csv": text.getvalue().encode(),
        "sweep.html": render_sweep(scenario.name, ordered, varied).encode(),
        "sweep.json": (json.dumps(about, indent=2) + "\n").encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        replace_file(folder / name, content)
    return [folder / name for name in contents]


def check_folder(folder: Path) -> None:
    """Make sure that a folder may hold a sweep.

    Raises: InvalidInput when something else is in it.
    """
    if (
        folder.exists()
        and (not folder.is_dir() or any(folder.iterdir()))
        and not (folder / "sweep.json").exists()
    ):
        raise InvalidInput(
            (Problem("--out", str(folder), "must be new, empty or an earlier sweep's folder"),)
        )


def _on_dask(jobs: Sequence[Job], address: str) -> Iterator[Row]:
    from ontology.errors import Unavailable

    try:
        from distributed import Client
        from distributed import as_completed as as_done
    except ImportError as error:
        raise InvalidInput(
            "--dask needs the packages of the extra `dask`: pip install parity-mas[dask]"
        ) from error
    try:
        client = Client(address, timeout=10)
    except (OSError, TimeoutError, ValueError) as error:
        raise Unavailable(f"no Dask scheduler answers at {address}") from error
    with client:
        futures = client.map(run_job, jobs, pure=False)
        for future in as_done(futures):
            yield future.result()


def _column(values: list[Any]) -> list[Any]:
    """Give a column one type: mixed ones become text."""
    kinds = {type(value) for value in values if value is not None}
    return (
        values
        if len(kinds) <= 1 or kinds == {int, float}
        else [None if v is None else str(v) for v in values]
    )


def _split(text: str) -> list[str]:
    """Split at commas outside brackets and braces."""
    parts, depth = [""], 0
    for character in text:
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
