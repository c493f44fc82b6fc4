"""What events make of a network."""

import numpy as np
import pytest

from behaviours.decisions.grid import PowerFlow, radial_feeder
from behaviours.decisions.grid.contingency import after_event, after_events
from ontology.errors import InvalidInput
from ontology.network_events import EventKind, NetworkEvent

SITES = [f"h{i:02d}" for i in range(30)]
NETWORK = radial_feeder("s", SITES)


def event(kind, **changes):
    return NetworkEvent(event_id="e", time_s=0, segment_id="s", kind=kind, **changes)


def flow(network):
    power_w = np.full((1, 30, 3), 500.0)
    (result,) = PowerFlow([network]).solve(power_w, 0.2 * power_w)
    return result


def test_a_lost_stage_raises_the_loading_and_lowers_the_voltage():
    after = after_event(NETWORK, event(EventKind.TRANSFORMER, share=0.5))
    before, now = flow(NETWORK), flow(after)
    assert now.transformer_loading[0] > 1.95 * before.transformer_loading[0]
    assert now.voltage_min_pu[0] < before.voltage_min_pu[0]


def test_a_lost_cable_of_two_carries_the_same_at_twice_the_loading():
    after = after_event(NETWORK, event(EventKind.CABLE, site="h10", share=0.5))
    (line,) = np.flatnonzero(after.line_rated_a != NETWORK.line_rated_a)
    assert flow(after).line_loading[0, line] == pytest.approx(
        2 * flow(NETWORK).line_loading[0, line], rel=0.05
    )


def test_what_is_behind_an_opened_line_is_fed_by_the_tie():
    after = after_event(NETWORK, event(EventKind.LINE_OPENED, site="h04", fed_from="h20"))
    before, now = flow(NETWORK), flow(after)
    assert np.isfinite(now.voltage_pu).all()
    assert now.busbar_w.sum() == pytest.approx(before.busbar_w.sum(), rel=0.05)
    assert now.voltage_min_pu[0] < before.voltage_min_pu[0]
    assert sorted(after.line_to) == sorted(NETWORK.line_to)


@pytest.mark.parametrize(
    ("site", "fed_from"), [("h04", "h08"), ("h00", "h04"), ("nobody", "h04")], ids=["ring", "own", "unknown"]
)
def test_a_tie_that_cannot_be_is_refused(site, fed_from):
    with pytest.raises(InvalidInput):
        after_event(NETWORK, event(EventKind.LINE_OPENED, site=site, fed_from=fed_from))


def test_events_elsewhere_change_nothing():
    elsewhere = NetworkEvent(event_id="e", time_s=0, segment_id="t", kind=EventKind.TRANSFORMER)
    assert after_events(NETWORK, [elsewhere]) is NETWORK
