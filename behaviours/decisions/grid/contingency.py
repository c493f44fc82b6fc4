"""What events make of a network: transformer or cable carry less, a part is fed from elsewhere."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.grid.network import MAIN_CABLE, Network, Transformer, joint_of
from ontology.errors import InvalidInput, problem
from ontology.network_events import EventKind, NetworkEvent

__all__ = ["after_event", "after_events"]

BUSBAR = 1


def after_events(network: Network, events: Sequence[NetworkEvent]) -> Network:
    """Return a network after all events that are about it, in the order of their times."""
    for event in sorted(events, key=lambda each: (each.time_s, each.event_id)):
        if event.segment_id == network.segment_id:
            network = after_event(network, event)
    return network


def after_event(network: Network, event: NetworkEvent) -> Network:
    """Return a network after an event.

    Raises: InvalidInput when it names no cable of the network, or the tie would close a ring.
    """
    match event.kind:
        case EventKind.TRANSFORMER:
            rated_va = max(1, round(network.transformer.rated_va * event.share))
            return replace(network, transformer=_derated(network, rated_va))
        case EventKind.CABLE:
            return _weakened(network, _line_to(network, event.site), event.share)
        case EventKind.LINE_OPENED:
            return _fed_from_elsewhere(network, event)


def _derated(network: Network, rated_va: int) -> Transformer:
    """Return the stages that are left: the short-circuit voltage is of the new rating, so ohms rise."""
    kind = network.transformer
    share = rated_va / kind.rated_va
    return replace(
        kind,
        rated_va=rated_va,
        load_loss_w=kind.load_loss_w * share,
        no_load_loss_w=kind.no_load_loss_w * share,
    )


def _line_to(network: Network, site: str) -> int:
    """Return the cable in the street that leads to a site's joint.

    Raises: InvalidInput when there is no such site, or it hangs on the busbar itself.
    """
    joint = joint_of(network, site)
    found = np.flatnonzero(network.line_to == joint)
    if not len(found):
        raise InvalidInput(problem("site", site, "a site with a cable in the street before its joint"))
    return int(found[0])


def _weakened(network: Network, line: int, share: float) -> Network:
    def scaled(values: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
        changed = values.copy()
        changed[line] *= factor
        return changed

    return replace(
        network,
        line_resistance=scaled(network.line_resistance, 1 / share),
        line_reactance=scaled(network.line_reactance, 1 / share),
        line_zero_resistance=scaled(network.line_zero_resistance, 1 / share),
        line_zero_reactance=scaled(network.line_zero_reactance, 1 / share),
        line_rated_a=scaled(network.line_rated_a, share),
    )


def _fed_from_elsewhere(network: Network, event: NetworkEvent) -> Network:
    """Put a tie from another joint in the place of the opened line."""
    line, begin = _line_to(network, event.site), joint_of(network, event.fed_from)
    joint = int(network.line_to[line])
    if begin in _behind(network, joint):
        expected = f"a site that is not behind the opened line to {event.site}"
        raise InvalidInput(problem("fed_from", event.fed_from, expected))
    cable, km = MAIN_CABLE, event.tie_m / 1000

    def tied(values: NDArray[np.float64], value: float) -> NDArray[np.float64]:
        changed = values.copy()
        changed[line] = value
        return changed

    starts = network.line_from.copy()
    starts[line] = begin
    resistance, reactance = cable.resistance_ohm_per_km * km, cable.reactance_ohm_per_km * km
    changed = replace(
        network,
        line_from=starts,
        line_resistance=tied(network.line_resistance, resistance),
        line_reactance=tied(network.line_reactance, reactance),
        line_zero_resistance=tied(network.line_zero_resistance, resistance * cable.zero_to_positive),
        line_zero_reactance=tied(network.line_zero_reactance, reactance * cable.zero_to_positive),
        line_rated_a=tied(network.line_rated_a, cable.rated_a),
    )
    return _outwards(changed)


def _behind(network: Network, node: int) -> set[int]:
    """Return a node and all that is fed through it; lines lead outwards."""
    found = {node}
    for start, end in zip(network.line_from.tolist(), network.line_to.tolist(), strict=True):
        if start in found:
            found.add(end)
    return found


def _outwards(network: Network) -> Network:
    """Return a network with its lines in an order in which each begins where one before it has ended."""
    starts = network.line_from.tolist()
    order: list[int] = []
    reached = [BUSBAR]
    for node in reached:
        following = [line for line, start in enumerate(starts) if start == node]
        order += following
        reached += [int(network.line_to[line]) for line in following]
    names = ("from", "to", "resistance", "reactance", "zero_resistance", "zero_reactance", "rated_a")
    at = np.array(order)
    changed = {f"line_{name}": getattr(network, f"line_{name}")[at] for name in names}
    return replace(network, **changed)
