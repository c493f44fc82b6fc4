"""The DSO's signals to the aggregator: agreed to or refused at once, reported when over (SPEC 2.7)."""

import pytest

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.bilateral_contract import BilateralContract
from behaviours.market.demand_response import DemandResponse
from behaviours.market.opening import AggregatorSettings, PortfolioMember
from behaviours.market.payments import PayerSettings, Paying
from behaviours.market.portfolio import PortfolioKeeping
from behaviours.signing import Signer
from behaviours.vpp.initiation import VppInitiation
from ontology.discourse import Acknowledgement
from ontology.errors import Refused, Unavailable
from ontology.flexibility import FlexibilityForecast
from ontology.flexibility_trading import DemandResponseReport, DRSignal
from ontology.ledger import PaymentOrder, SettlementKind
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
            account=f"account of {self.settings}",
        )
        self.tell("aggregator@town", report)


class Caller(Behaviour):
    """A DSO that takes reports, once it is willing to."""

    def setup(self):
        self.reports = []
        self.is_willing = True

    @on(DemandResponseReport, Performative.REQUEST)
    def take(self, report, letter: Letter):
        if not self.is_willing:
            raise Unavailable("later")
        self.reports.append(report)
        return Acknowledgement(of=letter.message_id)


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
            payer=PayerSettings(account="a", engine="engine@town", tokens_per_currency=10_000),
        )
        self.dso = town.agent("dso", Role.DSO, Caller, signer=Signer(bytes(31) + b"d"))
        self.settings = settings
        self.aggregator = self.start_aggregator()
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

    def start_aggregator(self):
        return self.town.agent(
            "aggregator",
            Role.AGGREGATOR,
            PortfolioKeeping,
            VppInitiation,
            DemandResponse,
            Paying,
            settings=self.settings,
            signer=Signer(bytes(31) + b"a"),
        )

    @property
    def reports(self):
        return self.dso.behaviour(Caller).reports

    @property
    def paid(self):
        """What the aggregator has ordered to be paid, by the order's id."""
        orders = [
            self.aggregator.kept(n, PaymentOrder) for n in self.aggregator.kept_names("payment ordered ")
        ]
        assert all(order.kind is SettlementKind.DEMAND_RESPONSE for order in orders)
        return {o.payment_id: {each.account: each.tokens for each in o.payments} for o in orders}

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
    assert acts[0] == Performative.AGREE.value


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


END_S = START_S + 1_800
SHARES = {"account of h001": 3_000, "account of h002": 1_000}
"""Of 1 kWh at 0.50 EUR four fifths, divided as 3 to 1."""


@pytest.fixture
def paying(town):
    return Emergency(town, activation_ticks_per_kwh=5_000)


def until(emergency, time_s):
    emergency.town.run(time_s - emergency.town.clock.now_s())


def test_the_members_get_their_part_of_the_payment_by_what_each_delivered(paying):
    paying.call(paying.signal())
    until(paying, END_S + 60)
    assert paying.paid == {f"s{START_S + 900}-members": SHARES}
    assert paying.aggregator.kept_names("served ") == paying.aggregator.kept_names("member report ") == []


@pytest.mark.parametrize(
    "back_s", [START_S + 1_300, END_S + 30, END_S + 2_000], ids=["in it", "at its end", "long after it"]
)
def test_an_aggregator_that_dies_in_an_activation_reports_and_pays_when_it_is_back(paying, back_s):
    with pytest.raises(Unavailable):
        paying.call(paying.signal(), within_s=1_000)
    paying.aggregator.kill()
    until(paying, back_s)
    paying.aggregator = paying.start_aggregator()
    until(paying, back_s + 960)
    assert [report.delivered_w for report in paying.reports] == [[-4_000] * 15]
    assert paying.paid == {f"s{START_S + 900}-members": SHARES}


def test_a_dso_that_is_away_hears_the_report_later_and_once(paying):
    paying.dso.behaviour(Caller).is_willing = False
    paying.call(paying.signal())
    until(paying, END_S + 60)
    assert paying.paid == {}
    paying.dso.behaviour(Caller).is_willing = True
    until(paying, END_S + 2_000)
    assert len(paying.reports) == len(paying.paid) == 1


def test_nobody_reports_for_a_member_but_its_own_prosumer(paying):
    paying.call(paying.signal())
    thief = paying.households[1]
    report = DemandResponseReport(
        signal_id="s",
        contract_id="c1",
        subject="h001",
        start_s=START_S,
        step_s=60,
        ordered_w=-1,
        delivered_w=[-1],
        account="account of h002",
    )
    with pytest.raises(Refused, match="h001"):
        paying.town.outcome(thief.ask("aggregator@town", report, Acknowledgement))
