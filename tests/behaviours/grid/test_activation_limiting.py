"""The DSO caps what markets outside may activate in its segments, and keeps what they plan (D8.1 3.9.2)."""

from types import SimpleNamespace

import pytest

from behaviours.decisions.grid.traffic_light import STANDARD, Strain
from behaviours.grid.activation_limiting import ActivationLimiting
from behaviours.signing import Signer
from ontology.errors import Refused
from ontology.grid_coordination import ActivationLimits, ActivationPlan, ActivationStage
from ontology.market import ExternalProduct, SegmentShare
from ontology.roles import Role

START_S = 1_750_036_500
F1 = SimpleNamespace(segment_id="f1", transformer=SimpleNamespace(rated_va=100_000))
SETTINGS = SimpleNamespace(external_markets="markets@town", networks=(F1,), thresholds=STANDARD)


class Coordination:
    """A DSO that has an outlook, and the markets that ask it."""

    def __init__(self, town):
        self.town = town
        town.clock.advance_to(START_S - 4_500)
        self.start_dso()
        self.markets = town.agent("markets", Role.EXTERNAL_MARKETS, signer=Signer(b"m" * 32))
        town.run(1)

    def start_dso(self):
        self.dso = self.town.agent(
            "dso", Role.DSO, ActivationLimiting, settings=SETTINGS, signer=Signer(b"d" * 32)
        )

    def foresee(self, loading):
        strain = Strain(loading=loading, voltage_min_pu=1.0, voltage_max_pu=1.0)
        self.dso.behaviour(ActivationLimiting).note_outlook(F1, [strain], [loading * 100_000], START_S)

    def ask(self, energy_wh, bid_id="bid", segment_id="f1", stage=ActivationStage.PREQUALIFICATION):
        plan = ActivationPlan(
            bid_id=bid_id,
            product=ExternalProduct.WS_INTRADAY,
            stage=stage,
            start_s=START_S,
            shares=[SegmentShare(segment_id=segment_id, energy_wh=energy_wh)],
        )
        (limit,) = self.town.outcome(self.markets.ask("dso@town", plan, ActivationLimits)).limits
        return limit


@pytest.fixture
def coordination(town):
    return Coordination(town)


def test_before_anything_is_foreseen_nothing_is_granted(coordination):
    with pytest.raises(Refused, match="nothing is foreseen"):
        coordination.ask(-1_000)


def test_anothers_segment_is_none_of_its_business(coordination):
    coordination.foresee(0.5)
    with pytest.raises(Refused, match="none of this DSO's segments"):
        coordination.ask(-1_000, segment_id="elsewhere")


def test_in_green_there_is_room_up_to_yellow(coordination):
    coordination.foresee(0.5)
    assert coordination.ask(2_500).more_max_w == 30_000


def test_in_yellow_there_is_none_but_what_was_sold_is_called(coordination):
    coordination.foresee(0.9)
    limit = coordination.ask(-2_500)
    assert (limit.less_max_w, limit.more_max_w) == (0, 0)
    assert limit.reason
    assert coordination.ask(-2_500, stage=ActivationStage.ACTIVATION).less_max_w > 10_000


def test_what_one_was_granted_the_next_does_not_get(coordination):
    coordination.foresee(0.5)
    coordination.ask(5_000)
    assert coordination.ask(5_000).more_max_w == 30_000, "said again, a plan replaces itself"
    assert coordination.ask(5_000, bid_id="other").more_max_w == 10_000
    assert coordination.dso.behaviour(ActivationLimiting).planned_w("f1", START_S) == (0, 30_000)
    assert coordination.dso.counts["activations limited"] == 1
