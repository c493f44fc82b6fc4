"""What must fit together of events in the network, and of what the grid operator controls directly."""

from collections.abc import Callable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from launch.schema import NetworkEvent, Scenario

__all__ = ["control_complaints", "event_complaints", "local_s"]

Complaint = tuple[str, object, str]


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
