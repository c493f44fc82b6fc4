"""REPO-1 and REPO-2 of D8.1's Table 2 at the level of the store: every entity, on both databases."""

import msgspec
import pytest
from databases import DATABASES, url_of
from facts import READING, reading, storable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inline import inline
from ontology_samples import LEAST, MOST, USUAL, contents, sample

from behaviours.repository_port import Selection
from environments.repository import SqlRepository
from environments.repository.keys import ENTITIES, TIME_FIELDS, is_timeless, key_of
from ontology.errors import InvalidInput

EVERY_ENTITY = sorted(ENTITIES)
OF_A_TIME = [entity for entity in EVERY_ENTITY if not is_timeless(entity)]


@pytest.fixture(scope="module", params=DATABASES)
def repository(request, tmp_path_factory):
    repository = SqlRepository(url_of(request.param, request, tmp_path_factory.mktemp("facts")))
    yield repository
    repository.close()


def stored(repository, entity):
    return inline(repository.select(Selection(entity)))


def at(time_s, entity):
    """Return the usual fact of a type as it would be at another time."""
    field = next(f for f in TIME_FIELDS if f in ENTITIES[entity].__struct_fields__)
    return msgspec.structs.replace(storable(sample(entity, USUAL)), **{field: time_s})


@pytest.mark.parametrize("entity", EVERY_ENTITY)
def test_repo_1_a_valid_fact_is_stored_and_comes_back_on_demand(repository, entity):
    market = repository.of_market(f"repo-1-{EVERY_ENTITY.index(entity)}")
    for fact in (storable(sample(entity, which)) for which in (LEAST, USUAL, MOST)):
        inline(market.store([fact]))
        assert fact in stored(market, entity)
        assert inline(market.latest(entity, key_of(fact).subject)) is not None


@pytest.mark.parametrize("entity", EVERY_ENTITY)
def test_repo_1_a_fact_that_breaks_its_schema_fails_and_takes_its_whole_batch_along(repository, entity):
    market = repository.of_market(f"repo-1-broken-{EVERY_ENTITY.index(entity)}")
    fact = storable(sample(entity, USUAL))
    values = {f: getattr(fact, f) for f in fact.__struct_fields__}
    field = next(f for kind in (str, int) for f, value in values.items() if isinstance(value, kind))
    broken = msgspec.structs.replace(fact, **{field: "x" * 5_000})
    with pytest.raises(InvalidInput) as refused:
        inline(market.store([fact, broken, broken]))
    assert len(refused.value.problems) == 2
    assert all(field in each.expected for each in refused.value.problems)
    assert stored(market, entity) == []


@pytest.mark.parametrize("entity", OF_A_TIME)
def test_repo_2_a_historical_range_comes_back_in_order_without_its_end(repository, entity):
    market = repository.of_market(f"repo-2-{EVERY_ENTITY.index(entity)}")
    facts = [at(time_s, entity) for time_s in (2_700, 0, 1_800, 900)]
    inline(market.store(facts))
    found = inline(market.query(entity, "", 900, 2_700))
    assert [key_of(each).time_s for each in found] == [900, 1_800]


ANY_FACTS = st.lists(st.sampled_from(EVERY_ENTITY).flatmap(contents).map(storable), max_size=4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANY_FACTS)
def test_whatever_a_schema_allows_comes_back_as_it_was(repository, facts):
    market = repository.of_market("any")
    inline(market.store(facts))
    for key, fact in {key_of(fact): fact for fact in facts}.items():
        found = inline(market.query(key.entity, key.subject, key.time_s, key.time_s + 1))
        assert fact in found


def test_a_nul_in_a_subject_is_refused_on_both_databases(repository):
    with pytest.raises(InvalidInput, match="NUL"):
        inline(repository.of_market("nul").store([reading(900, "h\x001"), reading(900)]))
    assert stored(repository.of_market("nul"), READING) == []
