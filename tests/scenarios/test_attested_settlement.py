"""Four vouch for each settlement; one of them may be dead or lie (SPEC 4.3)."""

import msgspec
import pytest
from scenario_helpers import (
    MORNING_S,
    Deaths,
    assert_same_tables,
    estimated_intervals,
    laboratory,
    offline,
    settled_intervals,
)

from behaviours.market.attestation import Attesting
from behaviours.market.attestation_collecting import AttestationCollecting
from behaviours.market.engine import LemSolving
from launch.model import CommunityModel
from launch.results import completed
from ontology.attestation import AttestationRequest

INTERVALS = 4


def community(attestors: int = 4, **settings) -> CommunityModel:
    return CommunityModel(laboratory(intervals=INTERVALS, ledger={"attestors": attestors}, **settings))


def events(model: CommunityModel, name: str) -> list:
    found, _ = completed(model.community.ground.ledger.events())
    return [each for each in found if each.name == name]


@pytest.fixture(scope="module")
def undisturbed() -> CommunityModel:
    return offline(laboratory(intervals=INTERVALS), Deaths({}))


def test_every_attestor_comes_to_the_same_result_and_all_four_sign(undisturbed):
    settled = events(undisturbed, "Settled")
    assert len(settled) == INTERVALS
    assert len({each.values["result"] for each in settled}) == INTERVALS
    assert len(events(undisturbed, "Attested")) == 4 * INTERVALS
    assert undisturbed.community.counts().get("attestations missing", 0) == 0
    assert events(undisturbed, "Objected") == []


def test_one_alone_settles_what_four_settle(undisturbed):
    assert_same_tables(community(attestors=1).run().tables(), undisturbed.tables())


@pytest.mark.parametrize("name", ["dso-attestor", "h001-attestor", "h002-attestor"])
def test_with_one_of_four_dead_the_others_settle(name, undisturbed):
    model = offline(laboratory(intervals=INTERVALS), Deaths({1: name}))
    assert_same_tables(model.tables(), undisturbed.tables())
    assert len(events(model, "Attested")) < 4 * INTERVALS
    assert model.community.counts()["attestations missing"] > 0


def test_with_two_of_four_dead_nothing_is_settled_until_one_is_back():
    model = community()
    model.step()
    model.kill("h001-attestor@localhost")
    model.kill("h002-attestor@localhost")
    model.step()
    model.step()
    assert settled_intervals(model.tables()) == []
    model.restart("h002-attestor@localhost")
    model.run()
    assert settled_intervals(model.tables()) == list(range(INTERVALS))
    assert estimated_intervals(model.tables(), "h001") == []


def test_a_liar_among_the_attestors_is_outvoted_and_its_objection_can_be_read(monkeypatch, undisturbed):
    """It would have a neighbour pay for energy that nobody consumed."""
    model = community()
    metered = Attesting._metered

    def lying(self, lem, request):
        rows = list(metered(self, lem, request))
        if self.agent.address.startswith("h002"):
            rows[0] = rows[0]._replace(consumed_wh=rows[0].consumed_wh + 10_000)
        return rows

    monkeypatch.setattr(Attesting, "_metered", lying)
    model.run()
    assert_same_tables(model.tables(), undisturbed.tables())
    assert model.community.counts()["attestations disputed"] == INTERVALS
    liar = model.community.ground.attestors["h002-attestor@localhost"].address.lower()
    assert [each.values["attestor"] for each in events(model, "Objected")] == [liar] * INTERVALS
    assert liar not in {each.values["attestor"] for each in events(model, "Attested")}


@pytest.mark.parametrize("lie", ["readings", "estimates", "tariff"])
def test_a_lying_engine_settles_nothing(monkeypatch, lie):
    """It credits a player with energy, calls a reading missing, or changes the announced tariff."""
    model = community()
    metered, asked = LemSolving._metered, AttestationCollecting._asked

    def inflated(self, lem):
        rows = list(metered(self, lem))
        rows[0] = rows[0]._replace(produced_wh=rows[0].produced_wh + 9_000, estimated=lie == "estimates")
        return rows

    async def dearer(self, attestor, request: AttestationRequest):
        lems = [
            msgspec.structs.replace(
                lem, parameters=msgspec.structs.replace(lem.parameters, buy_usual_ticks_per_kwh=9_999)
            )
            for lem in request.lems
        ]
        return await asked(self, attestor, msgspec.structs.replace(request, lems=lems))

    if lie == "tariff":
        monkeypatch.setattr(AttestationCollecting, "_asked", dearer)
    else:
        monkeypatch.setattr(LemSolving, "_metered", inflated)
    model.run()
    assert settled_intervals(model.tables()) == []
    assert events(model, "Settled") == []
    assert model.community.counts()["settlements failed"] > 0


def test_a_site_without_a_reading_is_estimated_alike_by_all(undisturbed):
    model = offline(laboratory(intervals=INTERVALS), Deaths({1: "h001-gateway"}, {3: "h001-gateway"}))
    tables = model.tables()
    assert estimated_intervals(tables, "h001", MORNING_S) != []
    assert settled_intervals(tables) == list(range(INTERVALS))
    assert len(events(model, "Attested")) == 4 * INTERVALS


def test_an_attestor_that_was_away_attests_again_once_it_has_the_evidence(undisturbed):
    model = offline(laboratory(intervals=INTERVALS), Deaths({1: "h002-attestor"}, {2: "h002-attestor"}))
    assert_same_tables(model.tables(), undisturbed.tables())
    h002 = model.community.ground.attestors["h002-attestor@localhost"].address.lower()
    assert len([e for e in events(model, "Attested") if e.values["attestor"] == h002]) >= 2
