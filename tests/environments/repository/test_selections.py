"""Selections with filters, pages, counts, markets, deletion and columns: the same in memory and in SQL."""

from itertools import count

import numpy
import pyarrow
import pytest
from facts import FORECAST, MEASUREMENT, READING, forecast, measurement, reading
from hypothesis import given, settings
from hypothesis import strategies as st
from inline import inline

from behaviours.repository_port import Comparison, Selection
from environments.repository import MemoryRepository, SqlRepository
from ontology.errors import InvalidInput
from ontology.measurements import Quality, Quantity

ALL = Selection(READING)


@pytest.fixture
def street(repository):
    """Three sites with four readings each."""
    sites = enumerate(("h001", "h002", "h003"))
    inline(repository.store([reading(900 * n, s, 100 * i + n) for i, s in sites for n in range(4)]))
    return repository


def starts(items):
    return [(each.start_s, each.subject) for each in items]


def test_several_subjects_are_selected_at_once(street):
    found = inline(street.select(Selection(READING, ("h003", "h001", "h999"), 900, 2_700)))
    assert starts(found) == [(900, "h001"), (900, "h003"), (1_800, "h001"), (1_800, "h003")]


@pytest.mark.parametrize(
    ("comparison", "value", "expected"),
    [
        ("eq", 102, {102}),
        ("ne", 102, {100, 101, 103}),
        ("lt", 102, {100, 101}),
        ("le", "102", {100, 101, 102}),
        ("gt", 101.5, {102, 103}),
        ("ge", 103, {103}),
        ("in", [100, "103", 7], {100, 103}),
        ("in", [], set()),
    ],
)
def test_a_filter_keeps_what_compares_so(street, comparison, value, expected):
    found = inline(street.select(Selection(READING, ("h002",)).where("consumed_wh", comparison, value)))
    assert {each.consumed_wh for each in found} == expected


def test_fields_inside_json_are_filtered_like_columns(repository):
    inline(repository.store([forecast(900 * n, kind) for n in range(3) for kind in ("LOAD", "PV")]))
    plants = Selection(FORECAST).where("kind", "eq", "PV").where("issued_at_s", "ge", 900)
    assert [each.start_s for each in inline(repository.select(plants))] == [900, 1_800]
    assert inline(repository.count(plants)) == 2


def test_key_fields_of_readings_can_be_filtered_too(street):
    found = inline(street.select(ALL.where("subject", "gt", "h001").where("start_s", "lt", 900)))
    assert starts(found) == [(0, "h002"), (0, "h003")]


def test_pages_put_together_are_the_whole_and_each_fact_is_met_once(street):
    met, cursor = [], ""
    while True:
        page = inline(street.page(ALL, 5, cursor))
        assert len(page.items) <= 5
        met += page.items
        cursor = page.cursor
        if not cursor:
            break
    assert met == inline(street.select(ALL))


def test_a_cursor_stays_good_while_facts_come_and_go(street):
    first = inline(street.page(ALL, 6))
    inline(street.store([reading(0, "h000"), reading(900, "h002", 7), reading(3_600, "h009")]))
    inline(street.delete(Selection(READING, ("h003",))))
    rest = inline(street.page(ALL, 100, first.cursor)).items
    assert starts(rest) == [
        (1_800, "h001"),
        (1_800, "h002"),
        (2_700, "h001"),
        (2_700, "h002"),
        (3_600, "h009"),
    ]


def test_a_full_last_page_leads_nowhere(street):
    assert inline(street.page(ALL, 12)).cursor == ""


def test_counting_and_subjects_tell_what_is_there(street):
    assert inline(street.count(ALL._replace(start_s=900, end_s=2_700))) == 6
    assert inline(street.subjects(READING)) == ["h001", "h002", "h003"]
    assert inline(street.subjects(FORECAST)) == []


def test_what_is_deleted_is_gone_with_the_name_of_whom_it_was_about(street):
    assert inline(street.delete(Selection(READING, ("h002",), 0, 1_800))) == 2
    assert inline(street.subjects(READING)) == ["h001", "h002", "h003"]
    assert inline(street.delete(Selection(READING, ("h002",)))) == 2
    assert inline(street.subjects(READING)) == ["h001", "h003"]
    assert inline(street.delete(Selection(READING, ("h002",)))) == 0
    assert inline(street.count(ALL)) == 8


def test_facts_in_json_are_deleted_by_filter(repository):
    inline(repository.store([forecast(900, "LOAD"), forecast(900, "PV")]))
    assert inline(repository.delete(Selection(FORECAST).where("kind", "eq", "PV"))) == 1
    assert [each.kind for each in inline(repository.select(Selection(FORECAST)))] == ["LOAD"]


def test_a_market_sees_its_own_facts_only(street):
    other = street.of_market("pilot-2")
    assert inline(other.select(ALL)) == []
    inline(other.store([reading(900, "h001", 7), forecast(900)]))
    assert inline(street.count(ALL)) == 12
    assert inline(other.delete(ALL)) == 1
    assert inline(street.count(ALL)) == 12
    assert inline(street.latest(FORECAST, "")) is None
    assert inline(street.of_market("pilot-2").latest(FORECAST, "h001")) == forecast(900)


@pytest.mark.parametrize("name", ["", "Pilot", "-a", "a b", "x" * 64, "a'; DROP TABLE facts; --"])
def test_a_market_has_a_proper_name(repository, name):
    with pytest.raises(InvalidInput, match="market"):
        repository.of_market(name)


def test_columns_are_stored_as_facts(repository):
    table = pyarrow.table(
        {
            "subject": ["h001", "h001"],
            "start_s": [0, 900],
            "consumed_wh": numpy.array([5, 6]),
            "produced_wh": [0, 0],
            "consumed_w": [20, 24],
            "produced_w": [0, 0],
            "quality": [None, "ESTIMATED"],
        }
    )
    assert inline(repository.ingest(READING, table)) == 2
    found = inline(repository.select(ALL))
    assert [(each.consumed_wh, each.quality) for each in found] == [
        (5, Quality.VALID),
        (6, Quality.ESTIMATED),
    ]


def test_columns_with_anything_wrong_store_nothing_and_name_every_row(repository):
    columns = {
        "subject": ["m"] * 4,
        "quantity": ["VOLTAGE_V", "VOLTS", "VOLTAGE_V", "VOLTAGE_V"],
        "time_s": [1, 2, -3, 4],
        "value": [230.0, 231.0, 232.0, "high"],
    }
    with pytest.raises(InvalidInput) as refused:
        inline(repository.ingest(MEASUREMENT, columns))
    assert [each.path for each in refused.value.problems] == ["rows[1]", "rows[2]", "rows[3]"]
    assert inline(repository.count(Selection(MEASUREMENT))) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e16, True, "7"])
def test_what_is_no_number_of_ours_is_not_stored_from_columns(repository, value):
    columns = {"subject": ["m"], "quantity": ["VOLTAGE_V"], "time_s": [1], "value": [value]}
    with pytest.raises(InvalidInput, match="value"):
        inline(repository.ingest(MEASUREMENT, columns))


@pytest.mark.parametrize("entity", [MEASUREMENT, "parity:Building"])
def test_half_a_character_is_no_text(entity):
    half = ["\ud800"]
    building = ("building_id", "type_id", "geo_zone", "segment_id", "usage_point_id")
    columns = {
        MEASUREMENT: {"subject": half, "quantity": ["VOLTAGE_V"], "time_s": [1], "value": [1.0]},
        "parity:Building": dict.fromkeys(building, half),
    }
    with pytest.raises(InvalidInput, match="Unicode"):
        inline(SqlRepository().ingest(entity, columns[entity]))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"subject": ["m"], "wert": [1], "zeit": [2]}, ["wert", "zeit"]),
        ({"subject": ["m"], "time_s": [1, 2]}, ["{'subject': 1, 'time_s': 2}"]),
    ],
    ids=["unknown columns", "unequal lengths"],
)
def test_columns_that_make_no_table_are_named(repository, columns, expected):
    with pytest.raises(InvalidInput) as refused:
        inline(repository.ingest(MEASUREMENT, columns))
    assert [each.value for each in refused.value.problems] == expected


def test_all_that_is_wrong_with_a_selection_is_told_at_once(repository):
    wrong = Selection(READING, (), 1_800, 900).where("watts", "eq", 1).where("consumed_wh", "lt", "much")
    wrong = wrong.where("quality", "eq", "GOOD").where("quality", "in", "VALID")
    with pytest.raises(InvalidInput) as refused:
        inline(repository.page(wrong, 0))
    paths = [each.path for each in refused.value.problems]
    assert paths == [
        "end_s",
        "filters[0].field",
        "filters[1].value",
        "filters[2].value",
        "filters[3].value",
        "limit",
    ]


@pytest.mark.parametrize("cursor", ["nonsense!", "WyJhIl0=", "e30="])
def test_a_cursor_that_is_none_is_refused(street, cursor):
    with pytest.raises(InvalidInput, match="cursor"):
        inline(street.page(ALL, 5, cursor))


def test_a_list_is_no_field_to_filter_by(repository):
    with pytest.raises(InvalidInput, match="one of"):
        inline(repository.count(Selection(FORECAST).where("power_w", "eq", 1)))


# -- whatever is done, in whatever order, memory and SQL answer alike -----------------------------

SUBJECTS = st.sampled_from(["h001", "h002", "ü"])
TIMES = st.integers(0, 8).map(lambda n: 900 * n)
FACTS = st.one_of(
    st.builds(reading, TIMES, SUBJECTS, st.integers(0, 9)),
    st.builds(measurement, TIMES, SUBJECTS, st.sampled_from(list(Quantity)[:3]), st.floats(-5, 5)),
    st.builds(forecast, TIMES, st.sampled_from(["LOAD", "PV"]), SUBJECTS),
)
FILTERS = {
    READING: ("consumed_wh", "quality"),
    MEASUREMENT: ("value", "quantity"),
    FORECAST: ("kind", "step_s"),
}
VALUES = {"quality": "VALID", "quantity": "VOLTAGE_V", "kind": "PV"}


@st.composite
def selections(draw):
    entity = draw(st.sampled_from([READING, MEASUREMENT, FORECAST]))
    start_s, end_s = sorted((draw(TIMES), draw(TIMES)))
    chosen = Selection(entity, tuple(draw(st.sets(SUBJECTS, max_size=2))), start_s, end_s)
    for field in draw(st.sets(st.sampled_from(FILTERS[entity]), max_size=2)):
        comparison = draw(st.sampled_from([each for each in Comparison if each is not Comparison.ONE_OF]))
        chosen = chosen.where(field, comparison, VALUES.get(field, draw(st.integers(-2, 9))))
    return chosen


STEPS = st.lists(st.one_of(st.lists(FACTS, max_size=12), selections()), max_size=4)


def agree_on(twins, steps, asked, limit):
    for step in steps:
        if isinstance(step, list):
            done = [inline(twin.store(step)) for twin in twins]
        else:
            done = [inline(twin.delete(step)) for twin in twins]
        assert done[0] == done[1]
    for call in (
        lambda twin: twin.select(asked),
        lambda twin: twin.count(asked),
        lambda twin: twin.page(asked, limit),
        lambda twin: twin.page(asked, limit, inline(twin.page(asked, limit)).cursor),
        lambda twin: twin.subjects(asked.entity),
        lambda twin: twin.latest(asked.entity, asked.subjects[0] if asked.subjects else ""),
    ):
        memory, sql = (inline(call(twin)) for twin in twins)
        assert memory == sql


@settings(max_examples=40, deadline=None)
@given(STEPS, selections(), st.integers(1, 4))
def test_memory_and_sqlite_agree_whatever_is_done(steps, asked, limit):
    agree_on([MemoryRepository(), SqlRepository()], steps, asked, limit)


@pytest.mark.server
def test_memory_and_postgresql_agree_whatever_is_done(served):
    markets = count(1)

    @settings(max_examples=30, deadline=None)
    @given(STEPS, selections(), st.integers(1, 4))
    def whatever_is_done(steps, asked, limit):
        agree_on([MemoryRepository(), served.of_market(f"any-{next(markets)}")], steps, asked, limit)

    whatever_is_done()
