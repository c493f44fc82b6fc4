"""Agreements, indicators and verdicts on the chain, held against the same rule in Python."""

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from behaviours.decisions.service_level import KpiTerms, Verdict, judge
from contracts.calldata import key_hash
from contracts.chain import Reverted, Signer
from contracts.deployed import DeployedContract
from contracts.embedded import embedded_chain, embedded_signers
from ontology.service_level import KpiRule, SlaState

pytestmark = pytest.mark.chain
DSO, AGGREGATOR, ORACLE, STRANGER = (Signer(bytes([n]) * 32) for n in range(31, 35))
SLA, KPI, ALICE, BOB = (key_hash(name) for name in ("sla", "kpi", "alice", "bob"))
WATT, MILLION = key_hash("W"), 10**6
ABOVE, BELOW = 1, 2
STATES = {1: SlaState.OK, 2: SlaState.VIOLATED, 3: SlaState.NOT_EVALUABLE}


def terms(rule: int = ABOVE, limit: int = 5_000 * MILLION, penalty: int = 120, *graded: int) -> tuple:
    """Return an indicator's terms; graded ones have a tolerance (millionths) and a most (tokens)."""
    return (SLA, rule, limit, WATT, penalty, bool(graded), *(graded or (0, 0)))


@pytest.fixture(scope="module")
def levels() -> DeployedContract:
    chain = embedded_chain(funded=[each.address for each in (DSO, AGGREGATOR, ORACLE, STRANGER)])
    owner, operator = embedded_signers()
    tokens = DeployedContract.deploy(chain, owner, "settlement", operator.address, [operator.address], 1, 0)
    registry = DeployedContract.deploy(chain, DSO, "registry", tokens.address)
    registry.send(DSO, "setRoles", AGGREGATOR.address, 2)
    registry.send(DSO, "setRoles", ORACLE.address, 8)
    levels = DeployedContract.deploy(chain, owner, "service_levels", registry.address)
    levels.send(AGGREGATOR, "writeSla", SLA, 0, 10**9, bytes(32))
    levels.send(AGGREGATOR, "writeKpi", KPI, terms(), [ALICE])
    return levels


TIMES = count(900, 900)


def measured(levels, value: int, *, kpi=KPI, completeness: int = MILLION, **others):
    arguments = {"player": ALICE, "time_s": next(TIMES), "unit": WATT, "by": ORACLE} | others
    mined = levels.send(
        arguments["by"],
        "measure",
        kpi,
        arguments["player"],
        arguments["time_s"],
        value,
        arguments["unit"],
        completeness,
        bytes(32),
    )
    (event,) = levels.events_of(mined)
    return STATES[event.values["judged"]], event.values["penalty"]


@pytest.mark.parametrize(
    ("value", "completeness", "verdict"),
    [
        (5_000 * MILLION, MILLION, (SlaState.OK, 0)),
        (5_000 * MILLION + 1, MILLION, (SlaState.VIOLATED, 120)),
        (9_000 * MILLION, 799_999, (SlaState.NOT_EVALUABLE, 0)),
        (9_000 * MILLION, 800_000, (SlaState.VIOLATED, 120)),
        (-9_000 * MILLION, MILLION, (SlaState.OK, 0)),
    ],
    ids=["at the limit", "a millionth above", "too little data", "just enough data", "negative"],
)
def test_a_value_above_the_limit_violates(levels, value, completeness, verdict):
    assert measured(levels, value, completeness=completeness) == verdict


def test_nine_is_not_more_than_twenty_four_and_a_half(levels):
    """Values were once compared as text (SPEC 2.9, defect to avoid)."""
    kpi = key_hash("temp_too_high")
    levels.send(AGGREGATOR, "writeKpi", kpi, terms(ABOVE, 24_500_000), [ALICE])
    assert measured(levels, 9_000_000, kpi=kpi) == (SlaState.OK, 0)
    assert measured(levels, 25_000_000, kpi=kpi) == (SlaState.VIOLATED, 120)


NUMBERS = count()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rule=st.sampled_from([ABOVE, BELOW]),
    limit=st.integers(-(10**12), 10**12),
    value=st.integers(-(10**12), 10**12),
    penalty=st.integers(0, 10**6),
    graded=st.none() | st.tuples(st.integers(0, 2 * MILLION), st.integers(0, 10**7)),
    completeness=st.integers(700_000, MILLION),
)
def test_the_contract_judges_as_the_decision_does(levels, rule, limit, value, penalty, graded, completeness):
    kpi = key_hash(f"kpi {next(NUMBERS)}")
    levels.send(AGGREGATOR, "writeKpi", kpi, terms(rule, limit, penalty, *(graded or ())), [ALICE])
    tolerance, most = graded or (0, 0)
    expected = judge(
        KpiTerms(
            rule=KpiRule.ABOVE if rule == ABOVE else KpiRule.BELOW,
            limit_millionths=limit,
            penalty_tokens=penalty,
            graded=graded is not None,
            tolerance_millionths=tolerance,
            most_tokens=most,
        ),
        value,
        completeness,
    )
    assert Verdict(*measured(levels, value, kpi=kpi, completeness=completeness)) == expected


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"by": AGGREGATOR}, "wrong role"),
        ({"by": STRANGER}, "wrong role"),
        ({"player": BOB}, "not about this player"),
        ({"time_s": 10**9 + 1}, "not in the agreement's period"),
        ({"time_s": 0}, "not in the agreement's period"),
        ({"unit": key_hash("kW")}, "another unit"),
        ({"kpi": key_hash("unknown")}, "unknown indicator"),
        ({"completeness": MILLION + 1}, "completeness above one"),
        ({"value": 10**24}, "value out of range"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_measure_that_does_not_belong_is_turned_down(levels, changes, why):
    with pytest.raises(Reverted, match=why):
        measured(levels, changes.pop("value", 1), **changes)


def test_a_measure_is_judged_once(levels):
    time_s = next(TIMES)
    measured(levels, 1, time_s=time_s)
    with pytest.raises(Reverted, match="judged already"):
        measured(levels, 9_000 * MILLION, time_s=time_s)


@pytest.mark.parametrize(
    ("signer", "function", "arguments", "why"),
    [
        (ORACLE, "writeSla", (key_hash("new"), 0, 900, bytes(32)), "wrong role"),
        (STRANGER, "writeKpi", (key_hash("new"), terms(), [ALICE]), "wrong role"),
        (AGGREGATOR, "writeSla", (SLA, 0, 900, bytes(32)), "written already"),
        (AGGREGATOR, "writeSla", (key_hash("new"), 900, 900, bytes(32)), "ends before it starts"),
        (AGGREGATOR, "writeKpi", (KPI, terms(), [ALICE]), "written already"),
        (AGGREGATOR, "writeKpi", (key_hash("new"), terms(3), [ALICE]), "one rule"),
        (AGGREGATOR, "writeKpi", (key_hash("new"), terms(ABOVE, 10**24), [ALICE]), "limit out of range"),
        (AGGREGATOR, "writeKpi", (key_hash("new"), terms(ABOVE, 0, 2**52), [ALICE]), "penalty out of"),
        (
            AGGREGATOR,
            "writeKpi",
            (key_hash("new"), (key_hash("no sla"), *terms()[1:]), [ALICE]),
            "only the agreement's creator",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_terms_that_do_not_belong_are_turned_down(levels, signer, function, arguments, why):
    with pytest.raises(Reverted, match=why):
        levels.send(signer, function, *arguments)
