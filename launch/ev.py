"""The command `parity-mas ev`: `simulate` replays recorded sessions; others are about charge points."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.ev_points import add_commands

if TYPE_CHECKING:
    from behaviours.charging.settings import Tariff
    from environments.charging.session_files import RecordedSession
    from launch.charging_outcomes import Outcome
    from launch.charging_stays import ReplaySettings
    from ontology.errors import Problem

__all__ = ["app"]

COLUMNS = ("%", "kWh", "demands met", "peak, kW", "energy cost", "peak cost", "CPU ms a plan")

app = typer.Typer(
    help="Charging sites and charge points.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
add_commands(app)


class Objective(StrEnum):
    """What plans are for, once the requests are served."""

    COST = "cost"
    PEAK = "peak"


class Wishes(StrEnum):
    """What drivers say: what turned out to be true, or what they said (many say nothing)."""

    METERED = "metered"
    STATED = "stated"


@app.callback()
def ev() -> None:
    """Charging sites and charge points."""


@app.command()
def simulate(
    sessions: Annotated[
        Path,
        typer.Argument(
            help="Sessions as ACN-Data's API or an acnportal event queue has them (JSON).",
            metavar="SESSIONS",
            show_default=False,
        ),
    ],
    capacity_kw: Annotated[
        list[str] | None,
        typer.Option(help="What the site may draw, kW; several: 20,40 or repeated.", metavar="KW"),
    ] = None,
    objective: Annotated[
        Objective, typer.Option(help="What for, once requests are served.")
    ] = Objective.COST,
    tariff: Annotated[
        str,
        typer.Option(
            help="Price per kWh, and others by local hour: 0.15,0.35@8-14.", metavar="PRICE[,PRICE@FROM-TO]"
        ),
    ] = "0.20",
    feed_in: Annotated[float, typer.Option(help="What a kWh given back earns (with --v2g).")] = 0.0,
    peak_price: Annotated[
        float, typer.Option(help="What each kW of a month's highest 5-minute power costs.")
    ] = 0.0,
    wishes: Annotated[
        Wishes, typer.Option(help="Drivers say what came true, or what they said.")
    ] = Wishes.METERED,
    v2g: Annotated[bool, typer.Option("--v2g", help="Vehicles may give back, never below 30 %.")] = False,
    single_phase: Annotated[
        bool, typer.Option("--single-phase", help="Points on one phase each, each limited to a third.")
    ] = False,
    point_kw: Annotated[float, typer.Option(help="What a point can give, kW.")] = 6.656,
    capacity_kwh: Annotated[float, typer.Option(help="Capacity of the vehicles' batteries, kWh.")] = 60.0,
) -> None:
    """Replay sessions through a charging site's agents, beside simple rules and perfect foresight."""
    from launch.exits import errors as _errors

    with _errors():
        recorded, runs = _checked(
            sessions, capacity_kw or ["40"], tariff, feed_in, peak_price, point_kw, capacity_kwh
        )
        for settings in runs:
            chosen = _with(settings, objective, wishes, v2g=v2g, single_phase=single_phase)
            _print(recorded, chosen, _outcomes(recorded, chosen))


def _checked(
    path: Path,
    capacities: list[str],
    tariff: str,
    feed_in: float,
    peak_price: float,
    point_kw: float,
    capacity_kwh: float,
) -> "tuple[list[RecordedSession], list[ReplaySettings]]":
    """Return the sessions and how to replay them.

    Raises: InvalidInput naming all that is wrong with options and file.
    """
    from environments.charging.session_files import read_sessions
    from launch.charging_stays import ReplaySettings
    from ontology.errors import InvalidInput

    problems: list[Problem] = []
    powers_w = _capacities_w(capacities, problems)
    prices = _tariff(tariff, feed_in, peak_price, problems)
    _require_positive("--point-kw", point_kw, problems)
    _require_positive("--capacity-kwh", capacity_kwh, problems)
    recorded: list[RecordedSession] = []
    try:
        recorded = read_sessions(path)
    except InvalidInput as error:
        problems += error.problems
    if problems:
        raise InvalidInput(problems)
    return recorded, [
        ReplaySettings(
            power_max_w=power_w,
            point_power_w=round(point_kw * 1000),
            tariff=prices,
            capacity_wh=round(capacity_kwh * 1000),
        )
        for power_w in powers_w
    ]


def _capacities_w(capacities: list[str], problems: "list[Problem]") -> list[int]:
    from ontology.errors import problem

    found = []
    for text in ",".join(capacities).split(","):
        try:
            kw = float(text)
        except ValueError:
            kw = -1.0
        if 0 < kw <= 100_000:
            found.append(round(kw * 1000))
        else:
            problems.append(problem("--capacity-kw", text, "a power above 0 kW, such as 40 or 20,40"))
    return found


def _require_positive(name: str, value: float, problems: "list[Problem]") -> None:
    from ontology.errors import problem

    if not 0 < value <= 10_000:
        problems.append(problem(name, value, "above 0, 10 000 at most"))


def _tariff(text: str, feed_in: float, peak_price: float, problems: "list[Problem]") -> "Tariff":
    """Read a price for all hours and others for some of them."""
    from behaviours.charging.settings import Tariff
    from ontology.errors import problem

    first, *others = text.split(",")
    try:
        prices = [float(first)] * 24
        for other in others:
            price, _, hours = other.partition("@")
            begin, _, end = hours.partition("-")
            if not 0 <= int(begin) < int(end) <= 24:
                raise ValueError(other)
            prices[int(begin) : int(end)] = [float(price)] * (int(end) - int(begin))
    except ValueError:
        problems.append(problem("--tariff", text, "a price, then price@from-to: 0.15,0.35@8-14"))
        prices = [0.0] * 24
    for name, value in (("--feed-in", feed_in), ("--peak-price", peak_price)):
        if not 0 <= value <= 10_000:
            problems.append(problem(name, value, "not negative, 10 000 at most"))
    return Tariff(charge_per_kwh=tuple(prices), discharge_per_kwh=(feed_in,) * 24, peak_per_kw=peak_price)


def _with(
    settings: "ReplaySettings", objective: Objective, wishes: Wishes, *, v2g: bool, single_phase: bool
) -> "ReplaySettings":
    import msgspec

    from behaviours.decisions.charging.terms import Objective as Purpose

    return msgspec.structs.replace(
        settings,
        objective=Purpose(objective.value),
        stated=wishes is Wishes.STATED,
        v2g=v2g,
        single_phase=single_phase,
    )


def _outcomes(recorded: "list[RecordedSession]", settings: "ReplaySettings") -> "list[Outcome]":
    """Replay through the agents, by each rule, and with foresight."""
    from rich.progress import Progress

    from behaviours.decisions.charging.priority import Rule
    from launch.charging_replay import foreseen, replay_by_rule, replay_through_agents
    from launch.console import console

    shown = console(stderr=True)
    with Progress(console=shown, transient=True, disable=not shown.is_terminal) as bar:
        task = bar.add_task(f"{settings.power_max_w / 1000:g} kW", total=1.0)
        planned = replay_through_agents(
            recorded, settings, lambda done: bar.update(task, completed=min(done, 1.0))
        )
    by_rule = [replay_by_rule(recorded, settings, rule) for rule in Rule]
    return [planned, *by_rule, foreseen(recorded, settings)]


def _print(recorded: "list[RecordedSession]", settings: "ReplaySettings", outcomes: "list[Outcome]") -> None:
    """Print a table for one capacity."""
    from rich.table import Table

    from launch.console import console

    days = (recorded[-1].departure_s - recorded[0].arrival_s) / 86_400
    title = f"{settings.power_max_w / 1000:g} kW: {len(recorded)} sessions in {days:.0f} days, " + (
        f"{outcomes[0].requested_wh / 1e6:.2f} MWh requested"
    )
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("charging")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for each in outcomes:
        table.add_row(*_cells(each))
    console().print(table)


def _cells(outcome: "Outcome") -> tuple[str, ...]:
    solve_ms = sorted(1000 * seconds for seconds in outcome.solve_s)
    times = f"{solve_ms[len(solve_ms) // 2]:.0f}, most {solve_ms[-1]:.0f}" if solve_ms else ""
    met = f"{outcome.met} of {outcome.sessions}" if outcome.met >= 0 else ""
    return (
        outcome.name,
        f"{outcome.share:.2f}",
        f"{outcome.delivered_wh / 1000:,.0f}".replace(",", " "),
        met,
        f"{outcome.peak_w / 1000:.1f}",
        f"{outcome.energy_cost:.2f}",
        f"{outcome.peak_cost:.2f}",
        times,
    )
