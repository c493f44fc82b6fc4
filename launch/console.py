"""What the command line shows: progress, results, problems, scenarios and agents."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from launch.run_folder import Progress as RunProgress
from launch.run_folder import RunResult
from launch.scenario import InvalidScenario, Scenario, intervals_of, span_s
from ontology.base import INTERVAL_S
from ontology.errors import InvalidInput

__all__ = [
    "print_directory",
    "print_result",
    "print_roles",
    "print_scenario",
    "print_sweep",
    "problem_lines",
    "run_progress",
    "sweep_progress",
]

FEW_SITES = 12
PLAIN_WIDTH = 110
PLANT_COLUMNS = (
    "plant",
    "delivery",
    "members",
    "lost",
    "wanted, kWh",
    "promised, kWh",
    "delivered, kWh",
    "paid, EUR",
)


def console(stderr: bool = False) -> Console:
    """Return a console; where there is no terminal its lines are wide enough not to be broken."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else PLAIN_WIDTH, highlight=False)


def problem_lines(error: InvalidInput) -> list[str]:
    """Return a heading and one aligned line a problem: path, value, what would be right, where it is."""
    source = Path(error.source).name if isinstance(error, InvalidScenario) else "input"
    places = error.places if isinstance(error, InvalidScenario) else ("",) * len(error.problems)
    count = len(error.problems)
    cells = [
        (p.path or "(file)", p.value, p.expected + (f"  [{place}]" if place else ""))
        for p, place in zip(error.problems, places, strict=True)
    ]
    widths = [min(48, max(len(row[column]) for row in cells)) for column in (0, 1)]
    lines = [f"  {path:<{widths[0]}}  {value:<{widths[1]}}  {expected}" for path, value, expected in cells]
    return [f"{source}: {count} problem{'s' if count != 1 else ''}", *lines]


@contextmanager
def run_progress(scenario: Scenario, mode: str) -> Iterator[Callable[[RunProgress], None]]:
    """Show how far a run is: a bar on a terminal, a line now and then elsewhere."""
    shown = console(stderr=True)
    zone = ZoneInfo(scenario.zone)

    def local(progress: RunProgress) -> str:
        return f"{datetime.fromtimestamp(progress.time_s, UTC).astimezone(zone):%a %H:%M}"

    if not shown.is_terminal:
        yield _now_and_then(shown, local)
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[letters]:>9,} letters"),
        TextColumn("{task.fields[light]}"),
        TimeRemainingColumn(),
        console=shown,
    )
    with bar:
        task = bar.add_task(f"{scenario.name} ({mode})", total=intervals_of(scenario), letters=0, light="")

        def update(progress: RunProgress) -> None:
            bar.update(
                task,
                description=f"{scenario.name} ({mode}) {local(progress)}",
                completed=progress.interval,
                total=progress.intervals,
                letters=progress.letters,
                light=_coloured(progress.grid_state),
            )

        yield update


def print_result(result: RunResult) -> None:
    """Print what happened in a run and where its folder is."""
    from launch.report import flexibility_rows, headlines, plant_rows, register_lines
    from launch.summary import site_rows, summarise

    shown = console()
    summary = summarise(result)
    table = Table(
        title=f"{result.scenario.name}, {result.mode}: {summary.intervals} intervals", title_justify="left"
    )
    table.add_column("")
    table.add_column("", justify="right")
    table.add_column("", style="dim")
    for what, value, explanation in headlines(summary):
        table.add_row(what, value, explanation)
    shown.print(table)
    if summary.sites <= FEW_SITES:
        shown.print(_site_table(site_rows(result)))
    if plants := plant_rows(result):
        shown.print(_plant_table(plants))
    if trades := flexibility_rows(result):
        shown.print(_flexibility_table(trades))
    for note in result.notes:
        shown.print(f"note: {note}", markup=False)
    for line in register_lines(result):
        shown.print(line, markup=False, soft_wrap=True)
    if result.deadlines_missed:
        shown.print(
            f"{result.deadlines_missed} deadlines were missed: do not compare this run with an offline one."
        )
    if not result.complete:
        done = f"{summary.intervals} of {intervals_of(result.scenario)} intervals"
        shown.print(f"stopped early: {done} are in the tables")
    if result.folder is not None:
        shown.print(
            f"run folder  {result.folder}\nreport      {result.folder / 'report.html'}",
            markup=False,
            soft_wrap=True,
        )


def _plant_table(plants: Sequence[dict[str, str]]) -> Table:
    table = Table(title="Virtual power plants", title_justify="left")
    for column in PLANT_COLUMNS:
        left = column == "plant"
        table.add_column(column, justify="left" if left else "right", no_wrap=column in ("plant", "delivery"))
    for row in plants:
        table.add_row(*(row[column] for column in PLANT_COLUMNS))
    return table


def _flexibility_table(trades: Sequence[dict[str, str]]) -> Table:
    table = Table(title="Flexibility bought", title_justify="left")
    for column in trades[0]:
        left = column in ("delivery", "segment")
        table.add_column(column, justify="left" if left else "right", no_wrap=column == "delivery")
    for row in trades:
        table.add_row(*row.values())
    return table


def print_scenario(path: Path, scenario: Scenario) -> None:
    """Print that a scenario is valid, and what it amounts to."""
    from launch.population import all_sites
    from launch.scenario import scenario_hash

    sites = all_sites(scenario)
    owned = Counter(
        device
        for site in sites
        for device in ("pv", "battery", "ev", "heat_pump", "hot_water", "lighting")
        if getattr(site, device) is not None
    )
    devices = ", ".join(f"{count} {device.replace('_', ' ')}" for device, count in owned.items())
    start_s, end_s = (datetime.fromtimestamp(t, ZoneInfo(scenario.zone)) for t in span_s(scenario))
    print(f"{path}: valid")
    print(f"  {len(sites)} site{'s' if len(sites) != 1 else ''}: {devices or 'no devices'}")
    span = f"{start_s:%Y-%m-%d %H:%M} to {end_s:%Y-%m-%d %H:%M} {scenario.zone}"
    print(f"  {intervals_of(scenario)} intervals, {span}")
    print(f"  seed {scenario.seed}, scenario hash {scenario_hash(scenario)[:16]}")


def print_roles() -> None:
    """Print every role with its behaviours, what they answer and when they act of themselves."""
    from launch.directory import agent_classes

    table = Table(title="Agents", title_justify="left", show_lines=True)
    for column in ("agent", "behaviour", "answers", "acts"):
        table.add_column(column)
    for cls in agent_classes():
        name = f"{cls.__name__}\n{_first_line(cls)}"
        for behaviour in cls.behaviours:
            answers = [
                occasion.message_type + (f" ({occasion.performative})" if occasion.performative else "")
                for occasion, _ in behaviour.handlers()
            ]
            acts = [_rhythm(rhythm) for rhythm, _ in behaviour.rhythms()]
            acts += [f"when {event}" for event, _ in behaviour.events()]
            said = f"{behaviour.__name__}\n{_first_line(behaviour)}"
            table.add_row(name, said, "\n".join(sorted(answers)), "\n".join(acts))
            name = ""
        if not cls.behaviours:
            table.add_row(name, "", "", "")
    console().print(table, markup=False)


def print_directory(scenario: Scenario) -> None:
    """Print the agents that a scenario starts, one line a site."""
    from launch.directory import entries

    by_site: dict[str, list[str]] = {}
    found = entries(scenario)
    for entry in found:
        by_site.setdefault(entry.site, []).append(entry.address)
    for site, addresses in by_site.items():
        print(f"{site or 'community'}: {' '.join(addresses)}")
    print(f"{len(found)} agents", file=sys.stderr)


@contextmanager
def sweep_progress(total: int) -> Iterator[Callable[[], None]]:
    """Show how many runs of a sweep are done."""
    shown = console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=shown,
        disable=not shown.is_terminal,
    )
    with bar:
        task = bar.add_task("runs", total=total)
        yield lambda: bar.advance(task)


def print_sweep(rows: Sequence[dict[str, Any]], varied: Sequence[str], written: Sequence[Path]) -> None:
    """Print the runs of a sweep, and the files that hold all of it."""
    columns = (*varied, "seed", "bought_locally_kwh", "imported_kwh", "self_consumption", "red", "error")
    table = Table(title=f"{len(rows)} runs", title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column != "error" else "left")
    for row in sorted(rows, key=lambda row: row["run"])[:60]:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    shown = console()
    shown.print(table, markup=False)
    for path in written:
        shown.print(str(path), markup=False, soft_wrap=True)


def print_comparison(names: Sequence[str], rows: Sequence[tuple[str, list[str], str]]) -> None:
    """Print numbers of several runs, a column each."""
    table = Table()
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("", style="dim")
    for what, values, explanation in rows:
        table.add_row(what, *values, explanation)
    console().print(table)


def _now_and_then(shown: Console, local: Callable[[RunProgress], str]) -> Callable[[RunProgress], None]:
    said = -1

    def update(progress: RunProgress) -> None:
        nonlocal said
        eighth = progress.interval * 8 // max(1, progress.intervals)
        if eighth != said:
            said = eighth
            done = f"interval {progress.interval}/{progress.intervals}"
            shown.print(f"{done}  {local(progress)}  {progress.letters} letters", markup=False)

    return update


def _site_table(rows: Sequence[dict[str, Any]]) -> Table:
    from launch.report import site_cells

    titles, cells = site_cells(rows)
    table = Table()
    table.add_column("site")
    for title in titles:
        table.add_column(title, justify="right")
    for name, values in cells:
        table.add_row(name, *values)
    return table


def _rhythm(rhythm: Any) -> str:
    if callable(rhythm.period_s):
        return "at a set period"
    each = "interval" if rhythm.period_s == INTERVAL_S else f"{rhythm.period_s:g} s"
    return f"every {each}" + (f", at +{rhythm.offset_s:g} s" if rhythm.offset_s else "")


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().split("\n")[0]


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def _coloured(state: str) -> str:
    colour = {"GREEN": "green", "YELLOW": "yellow", "RED": "red"}.get(state)
    return f"[{colour}]{state}[/]" if colour else state
