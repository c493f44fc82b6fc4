"""The DSO's signals to the aggregator: agreed to or refused at once, reported when over (SPEC 2.7)."""

import pytest

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.bilateral_contract import BilateralContract
from behaviours.market.demand_response import DemandResponse
from behaviours.market.opening import AggregatorSettings, PortfolioMember
from behaviours.market.portfolio import PortfolioKeeping
from behaviours.signing import Signer
from behaviours.vpp.initiation import VppInitiation
from ontology.errors import Refused, Unavailable
from ontology.flexibility import FlexibilityForecast
from ontology.flexibility_trading import DemandResponseReport, DRSignal
from ontology.letter import Letter
from ontology.performatives import Performative
from ontology.roles import Role

START_S = 1_750_000_500
SITES = ("h001", "h002")


class Household(Behaviour):
    """Does what it is told, and says so."""

    def setup(self):
        self.told = []

    @on(DRSignal)
    def obey(self, signal, letter: Letter):
        self.told.append(signal)
        report = DemandResponseReport(
            signal_id=signal.signal_id,
            contract_id=signal.contract_id,
            subject=self.settings,
            start_s=signal.start_s,
            step_s=60,
            ordered_w=signal.delta_w,
            delivered_w=[signal.delta_w] * 15,
        )
        self.tell("aggregator@town", report)


class Emergency:
    """A DSO, an aggregator with one contract, and two households with flexibility."""

    def __init__(self, town, **contract):
        self.town = town
        self.contract = BilateralContract(
            contract_id="c1", reserved_w=5_000, **({"activations_a_day": 2} | contract)
        )
        settings = AggregatorSettings(
            market_engine="",
            market_operator="",
            dso="dso@town",
            repository="",
            external_markets="",
            segments=("f1",),
            portfolio=tuple(
                PortfolioMember(site=site, segment_id="f1", prosumer=f"{site}@town") for site in SITES
            ),
            contracts=(self.contract,),
        )
        self.dso = town.agent("dso", Role.DSO, signer=Signer(bytes(31) + b"d"))
        self.aggregator = town.agent(
            "aggregator",
            Role.AGGREGATOR,
            PortfolioKeeping,
            VppInitiation,
            DemandResponse,
            settings=settings,
            signer=Signer(bytes(31) + b"a"),
        )
        self.households = [
            town.agent(site, Role.PROSUMER, Household, settings=site, signer=Signer(bytes(31) + bytes([i])))
            for i, site in enumerate(SITES)
        ]
        for site, power_w in zip(SITES, (6_000, 2_000), strict=True):
            able = FlexibilityForecast(
                subject=site,
                start_s=START_S,
                up_w=[power_w] * 8,
                down_w=[0] * 8,
                duration_max_s=[900] * 8,
                cost_ticks_per_kwh=[300] * 8,
            )
            self.aggregator.behaviour(PortfolioKeeping).note(able, None)

    def signal(self, start_s=START_S + 900, **changes):
        told = {"signal_id": f"s{start_s}", "segment_id": "f1", "duration_s": 900, "delta_w": -4_000}
        fixed = {"contract_id": "c1", "deadline_s": start_s, "start_s": start_s}
        return DRSignal(**(told | fixed | changes))

    def call(self, signal, within_s=3_000):
        """Let the DSO signal and return (or raise) what it hears."""
        asked = self.dso.ask("aggregator@town", signal, DemandResponseReport, within_s=within_s)
        return self.town.outcome(asked, within_s=within_s + 1)


@pytest.fixture
def emergency(town):
    return Emergency(town)


def test_a_signal_is_shared_out_by_what_each_member_can_do_and_reported_when_it_is_over(emergency):
    report = emergency.call(emergency.signal())
    assert [h.behaviour(Household).told[0].delta_w for h in emergency.households] == [-3_000, -1_000]
    assert report.ordered_w == -4_000
    assert report.delivered_w == [-4_000] * 15


def test_the_aggregator_agrees_within_two_seconds(emergency):
    with pytest.raises(Unavailable):
        emergency.call(emergency.signal(), within_s=2)
    acts = [act for kind, act in emergency.town.notebook.acts if kind == "parity:Acknowledgement"]
    assert acts == [Performative.AGREE.value]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"contract_id": "c2"}, "no contract"),
        ({"delta_w": -5_001}, "reserved"),
        ({"deadline_s": START_S - 1}, "too late"),
    ],
)
def test_what_the_contract_does_not_allow_is_refused_with_the_reason(emergency, changes, said):
    with pytest.raises(Refused, match=said):
        emergency.call(emergency.signal(**changes), within_s=2)
    assert not any(h.behaviour(Household).told for h in emergency.households)


def test_a_contract_is_activated_so_often_a_day_and_no_more_even_after_a_restart(emergency):
    for number in (1, 2):
        emergency.call(emergency.signal(START_S + 3_600 * number), within_s=6_000)
    with pytest.raises(Refused, match="2 times"):
        emergency.call(emergency.signal(START_S + 5 * 3_600), within_s=2)
    assert len(emergency.aggregator.kept_names("activated c1 ")) == 2


def test_a_member_that_says_nothing_counts_as_having_done_nothing(emergency):
    emergency.households[0].kill()
    report = emergency.call(emergency.signal())
    assert report.delivered_w == [-1_000] * 15
    assert report.ordered_w == -4_000
