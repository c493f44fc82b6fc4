"""The `Repository` port, the same in SQL and in memory."""

from types import SimpleNamespace

import msgspec
import pytest
from facts import FORECAST, READING, forecast, reading
from inline import inline

from environments.repository import MemoryRepository, SqlRepository, keys
from environments.repository.keys import ENTITIES, key_of
from ontology.charging import EvSocUpdate
from ontology.control import InstructionStatus
from ontology.discourse import Refusal
from ontology.errors import InvalidInput, Unavailable
from ontology.forecasts import ForecastKind
from ontology.grid import GridSegment
from ontology.market import PriceProfile
from ontology.measurements import Measurement, Quantity


def test_facts_are_found_in_a_half_open_range_in_ascending_order(repository):
    inline(repository.store([reading(s) for s in (2_700, 900, 0, 1_800)]))
    found = inline(repository.query(READING, "h001", 900, 2_700))
    assert [each.start_s for each in found] == [900, 1_800]


def test_a_fact_comes_back_as_it_was_stored(repository):
    inline(repository.store([forecast(900)]))
    assert inline(repository.query(FORECAST, "h001", 0, 1_800)) == [forecast(900)]


def test_a_fact_about_the_same_subject_and_time_replaces_the_older(repository):
    inline(repository.store([reading(900, consumed_wh=1), reading(1_800), reading(900, consumed_wh=2)]))
    inline(repository.store([reading(900, consumed_wh=3)]))
    assert [each.consumed_wh for each in inline(repository.query(READING, "h001", 0, 9_000))] == [3, 100]


def test_forecasts_of_two_kinds_and_measurements_of_two_quantities_live_side_by_side(repository):
    inline(repository.store([forecast(900, ForecastKind.PV), forecast(900, ForecastKind.LOAD)]))
    kinds = [each.kind for each in inline(repository.query(FORECAST, "h001", 900, 901))]
    assert kinds == [ForecastKind.LOAD, ForecastKind.PV]
    quantities = [Quantity.VOLTAGE_V, Quantity.FREQUENCY_HZ]
    inline(repository.store([Measurement(subject="m", quantity=q, time_s=7, value=1.0) for q in quantities]))
    assert len(inline(repository.query("parity:Measurement", "m", 0, 8))) == 2


def test_an_empty_subject_asks_about_everyone(repository):
    inline(repository.store([reading(s, subject) for subject in ("h002", "h001") for s in (900, 0)]))
    found = inline(repository.query(READING, "", 0, 1_800))
    assert [(each.start_s, each.subject) for each in found] == [
        (0, "h001"),
        (0, "h002"),
        (900, "h001"),
        (900, "h002"),
    ]


def test_the_newest_fact_is_the_last_in_time_not_the_last_stored(repository):
    inline(repository.store([reading(1_800), reading(900), reading(2_700, "h002")]))
    assert inline(repository.latest(READING, "h001")).start_s == 1_800
    assert inline(repository.latest(READING, "")).subject == "h002"


def test_nothing_is_found_about_somebody_unknown(repository):
    assert inline(repository.query(READING, "h999", 0, 9_000)) == []
    assert inline(repository.query(READING, "", 0, 9_000)) == []
    assert inline(repository.latest(READING, "h999")) is None
    assert inline(repository.latest(READING, "")) is None


def test_a_timeless_fact_is_found_at_any_time_and_replaced_by_its_id(repository):
    segment = GridSegment(segment_id="f1", transformer_id="t1", rated_va=250_000, nodes=["n1"], players=[])
    larger = msgspec.structs.replace(segment, rated_va=400_000)
    inline(repository.store([segment, larger]))
    assert inline(repository.query("parity:GridSegment", "f1", 5_000, 6_000)) == [larger]
    assert inline(repository.latest("parity:GridSegment", "f1")) == larger


def test_a_fact_about_the_community_has_no_subject(repository):
    prices = PriceProfile(start_s=900, buy_ticks_per_kwh=[2_000], sell_ticks_per_kwh=[650], basis="forecast")
    inline(repository.store([prices]))
    assert inline(repository.latest("oadr:PriceProfile", "")) == prices


def test_what_is_no_fact_is_not_stored_and_cannot_be_asked_for(repository):
    with pytest.raises(InvalidInput, match="Refusal"):
        inline(repository.store([reading(900), Refusal(reason="no")]))
    assert inline(repository.latest(READING, "h001")) is None
    for work in (
        repository.query("parity:Refusal", "", 0, 1),
        repository.query("nonsense", "", 0, 1),
        repository.latest("nonsense", "h001"),
    ):
        with pytest.raises(InvalidInput, match="stored"):
            inline(work)


def test_storing_nothing_is_fine(repository):
    inline(repository.store([]))


def test_memory_forgets_what_is_past_retention_and_nothing_younger():
    repository = MemoryRepository(retention_s={READING: 3_600})
    for start_s in range(0, 86_400, 900):
        inline(repository.store([reading(start_s), forecast(start_s)]))
    kept = [each.start_s for each in inline(repository.query(READING, "h001", 0, 86_400))]
    assert kept == list(range(kept[0], 86_400, 900))
    assert 3_600 <= 85_500 - kept[0] <= 2 * 3_600
    assert len(inline(repository.query(FORECAST, "h001", 0, 86_400))) == 96


def test_a_fact_that_breaks_its_schema_is_never_stored_in_sql():
    repository = SqlRepository()
    with pytest.raises(InvalidInput, match="consumed_wh"):
        inline(repository.store([reading(0), reading(900, consumed_wh=-1)]))
    assert inline(repository.latest(READING, "")) is None


def test_a_file_is_read_again_after_a_restart(tmp_path):
    url = f"sqlite:///{tmp_path / 'facts.sqlite'}"
    first = SqlRepository(url)
    inline(first.store([reading(900)]))
    first.close()
    assert inline(SqlRepository(url).latest(READING, "h001")) == reading(900)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("sqlite:////nowhere/facts.sqlite", Unavailable),
        ("postgresql://nobody@127.0.0.1:1/facts", Unavailable),
        ("postgresql://user:secret@127.0.0.1/facts", InvalidInput),
        ("mysql://somewhere/facts", InvalidInput),
        ("facts.sqlite", InvalidInput),
    ],
)
def test_a_database_that_cannot_be_used_is_named(url, error):
    with pytest.raises(error):
        SqlRepository(url)


@pytest.mark.parametrize("entity", sorted(ENTITIES))
def test_every_concept_has_a_place(entity):
    told = dict.fromkeys(ENTITIES[entity].__struct_fields__, "x")
    fact = SimpleNamespace(**told | {"name": "", "email": ""})
    rule = keys._RULES[entity]
    assert rule.subject(fact) in ("x", "")
    assert rule.time_s(fact) == (0 if keys.is_timeless(entity) else "x")
    assert set(rule.variant(fact)) <= {"x", " "}


@pytest.mark.parametrize(
    ("fact", "subject", "time_s", "variant"),
    [
        (reading(900), "h001", 900, ""),
        (forecast(900), "h001", 900, "NET"),
        (InstructionStatus(instruction_id="i7", status="NEW", time_s=5), "i7", 5, ""),
        (
            EvSocUpdate(session_id="s1", time_s=5, state_of_charge=0.5, energy_delivered_wh=1, power_w=2),
            "s1",
            5,
            "",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, msgspec.Struct) else str(value),
)
def test_where_facts_are_kept(fact, subject, time_s, variant):
    assert key_of(fact)[1:] == (subject, time_s, variant)
