"""What must fit together of the grid: network, thresholds, D-STATCOMs, events, what its operator controls."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from launch.schema import Grid, NetworkEvent, Scenario, Thresholds
from ontology.base import INTERVAL_S
from ontology.errors import InvalidInput, ParityError

__all__ = ["grid_complaints", "local_s"]

Complaint = tuple[str, object, str]
STREET = "street"


def grid_complaints(
    scenario: Scenario, ids: list[str], span_s: Callable[[Scenario], tuple[int, int]]
) -> Iterator[Complaint]:
    """Yield everything that does not fit together in a scenario's grid."""
    yield from _thresholds(scenario.grid.thresholds)
    yield from _network(scenario.grid)
    yield from _monitoring(scenario.grid)
    yield from _places(scenario)
    yield from _dstatcoms(scenario, ids)
    yield from event_complaints(scenario, ids, span_s)
    yield from control_complaints(scenario)


def local_s(moment: str, zone: str) -> int:
    """Return a local time in epoch seconds.

    Raises: ValueError when it is no time.
    """
    found = datetime.fromisoformat(moment)
    return int((found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))).timestamp())


def event_complaints(
    scenario: Scenario, ids: list[str], span_s: Callable[[Scenario], tuple[int, int]]
) -> Iterator[Complaint]:
    """An event lies within the run, on a feeder that there is, and at sites of that feeder."""
    for i, event in enumerate(scenario.grid.events):
        path, most = f"grid.events[{i}]", scenario.grid.sites_per_feeder
        yield from _moment(event, scenario, path, span_s)
        segments = {f"segment-{n + 1:03d}": n for n in range(-(-len(ids) // most))}
        number = segments.get(event.segment)
        if number is None:
            expected = f"must be a segment of the grid, segment-001 to segment-{len(segments):03d}"
            yield f"{path}.segment", event.segment, expected
            continue
        own = ids[number * most : (number + 1) * most]
        needed = {"transformer": (), "cable": ("site",), "line-opened": ("site", "fed_from")}[event.kind]
        for key in ("site", "fed_from"):
            value = getattr(event, key)
            if key in needed and value not in own:
                yield f"{path}.{key}", value, f"must be a site of {event.segment}"
            elif key not in needed and value:
                yield f"{path}.{key}", value, f"must be left out: kind is {event.kind}"


def _moment(
    event: NetworkEvent, scenario: Scenario, path: str, span_s: Callable[[Scenario], tuple[int, int]]
) -> Iterator[Complaint]:
    try:
        at_s = local_s(event.at, scenario.zone)
        start_s, end_s = span_s(scenario)
    except (ValueError, KeyError, OSError):
        yield f"{path}.at", event.at, "must be a local date and time such as 2024-01-11T18:07"
        return
    if not start_s <= at_s < end_s:
        yield f"{path}.at", event.at, "must lie within the run"


def control_complaints(scenario: Scenario) -> Iterator[Complaint]:
    """What the grid operator controls must be controllable, and a battery of its own shaves no peaks."""
    for i, site in enumerate(scenario.sites):
        for name in ("pv", "battery", "ev"):
            device = getattr(site, name)
            if device is None or device.controlled_by == "site":
                continue
            path = f"sites[{i}].{name}.controlled_by"
            if not scenario.control:
                yield path, "dso", "must be site where nothing is controlled (control: false)"
            if name == "battery" and device.mode != "least-cost":
                yield path, "dso", "must be site where the battery shaves peaks"


def _thresholds(thresholds: Thresholds) -> Iterator[Complaint]:
    for yellow, red in (
        ("loading_yellow", "loading_red"),
        ("voltage_yellow_pu", "voltage_red_pu"),
        ("unbalance_yellow", "unbalance_red"),
    ):
        limit = getattr(thresholds, red)
        if getattr(thresholds, yellow) > limit:
            yield (
                f"grid.thresholds.{yellow}",
                getattr(thresholds, yellow),
                f"must be at most {red} ({limit:g})",
            )


def _monitoring(grid: Grid) -> Iterator[Complaint]:
    """Who monitors measures something, in whole parts of an interval."""
    monitoring = grid.monitoring
    if monitoring is None:
        return
    if INTERVAL_S % monitoring.period_s:
        yield "grid.monitoring.period_s", monitoring.period_s, "must divide 900, such as 10, 60 or 300"
    if not monitoring.transformer and not monitoring.share_of_sites:
        yield "grid.monitoring.transformer", False, "must be true where no site's meter is read either"


def _network(grid: Grid) -> Iterator[Complaint]:
    """A known network is taken as it is: what lays out a street would change nothing."""
    if grid.network == STREET:
        return
    for name, usual in (("transformer_kva", None), ("source_pu", 1.01), ("joint_spacing_m", 35.0)):
        value = getattr(grid, name)
        if value != usual:
            yield f"grid.{name}", value, f"must be left out: {grid.network} has its own"


def _places(scenario: Scenario) -> Iterator[Complaint]:
    """A network must be there, and have the nodes that sites name."""
    from environments.networks import FEEDERS, feeder_named, is_imported

    grid = scenario.grid
    named = [(f"sites[{i}].node", site.node) for i, site in enumerate(scenario.sites) if site.node]
    if grid.network == STREET:
        for path, node in named:
            yield path, node, "must be left out: a street is laid out for its sites"
        return
    if grid.network not in FEEDERS and not is_imported(grid.network):
        known = ", ".join((STREET, *FEEDERS))
        yield (
            "grid.network",
            grid.network,
            f"must be {known}, simbench:CODE, or a file of pandapower (.json) or OpenDSS (.dss)",
        )
        return
    try:
        network = feeder_named(grid.network)
    except ParityError as error:
        found = error.problems if isinstance(error, InvalidInput) else ()
        for problem in found:
            yield "grid.network", f"{problem.path} {problem.value}", f"must be {problem.expected}"
        if not found:
            yield "grid.network", grid.network, str(error)
        return
    nodes = set(network.nodes[1:])
    for path, node in named:
        if node not in nodes:
            yield path, node, f"must be a low-voltage node of {Path(grid.network).name}"


def _dstatcoms(scenario: Scenario, ids: list[str]) -> Iterator[Complaint]:
    """A D-STATCOM stands on a feeder that there is, at a site of that feeder; reports fall on steps."""
    most = scenario.grid.sites_per_feeder
    segments = {f"segment-{number + 1:03d}": number for number in range(-(-len(ids) // most))}
    for i, unit in enumerate(scenario.grid.dstatcoms or ()):
        number = segments.get(unit.segment)
        if number is None:
            expected = f"must be a segment of the grid, segment-001 to segment-{len(segments):03d}"
            yield f"grid.dstatcoms[{i}].segment", unit.segment, expected
        elif unit.site and unit.site not in ids[number * most : (number + 1) * most]:
            yield f"grid.dstatcoms[{i}].site", unit.site, f"must be a site of {unit.segment}"
    status_s, step_s = scenario.grid.dstatcom_status_s, scenario.step_s
    if INTERVAL_S % status_s or (status_s % step_s and INTERVAL_S % step_s == 0):
        expected = f"must divide {INTERVAL_S} and be a multiple of step_s, which is {step_s}"
        yield "grid.dstatcom_status_s", status_s, expected
