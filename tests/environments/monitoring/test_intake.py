"""What comes from a monitoring system is checked, counted and kept in order; nothing foreign ends it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitoring_samples import NOW_S, as_json, measured

from environments.monitoring.intake import Intake, IntakeRules
from ontology.errors import Unavailable


def test_measurements_are_handed_out_by_time_and_node_however_they_came() -> None:
    intake = Intake()
    late, other, early = measured(time_s=NOW_S), measured("h001", NOW_S), measured(time_s=NOW_S - 60)
    for each in (late, other, early):
        assert intake.take(as_json(each), NOW_S) == each
    assert intake.since(NOW_S - 60, NOW_S) == [early, late, other]
    assert intake.since(NOW_S, NOW_S) == [late, other]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"no JSON", "malformed"),
        (as_json(measured(), v_v=[1.0]), "malformed"),
        (as_json(measured("elsewhere")), "unknown nodes"),
        (as_json(measured(time_s=NOW_S + 3_600)), "from the future"),
        (as_json(measured(), quality="suspect"), "not good"),
    ],
    ids=["no JSON", "too few voltages", "unknown node", "future", "suspect"],
)
def test_what_is_not_taken_is_counted_by_its_reason(frame: bytes, reason: str) -> None:
    intake = Intake(IntakeRules(nodes={"busbar"}))
    assert intake.take(frame, NOW_S) is None
    assert intake.counts == {reason: 1}
    assert intake.since(0, NOW_S) == []


def test_the_same_measurement_again_changes_nothing() -> None:
    intake = Intake()
    intake.take(as_json(measured()), NOW_S)
    assert intake.take(as_json(measured(power_w=1)), NOW_S) is None
    assert intake.since(0, NOW_S) == [measured()]
    assert intake.counts == {"taken": 1, "duplicates": 1}


def test_only_what_nobody_had_asked_for_counts_as_dropped() -> None:
    intake = Intake(IntakeRules(capacity=3))
    for minute in range(3):
        intake.take(as_json(measured(time_s=NOW_S + 60 * minute)), NOW_S + 300)
    assert len(intake.since(0, NOW_S + 120)) == 3
    for minute in range(3, 8):
        intake.take(as_json(measured(time_s=NOW_S + 60 * minute)), NOW_S + 500)
    assert [each.time_s - NOW_S for each in intake.since(0, NOW_S + 420)] == [300, 360, 420]
    assert intake.counts["dropped"] == 2


def test_a_node_that_tells_nothing_goes_stale_and_a_system_that_is_silent_is_unavailable() -> None:
    intake = Intake(IntakeRules(stale_s=180))
    intake.take(as_json(measured("h001", NOW_S)), NOW_S)
    intake.take(as_json(measured("busbar", NOW_S + 120)), NOW_S + 120)
    assert intake.stale_nodes(NOW_S + 180) == []
    assert len(intake.since(NOW_S, NOW_S + 200)) == 2
    assert intake.stale_nodes(NOW_S + 200) == ["h001"]
    assert intake.counts["nodes gone stale"] == 1
    with pytest.raises(Unavailable, match="silent for 181 s"):
        intake.since(NOW_S, NOW_S + 301)
    intake.take(as_json(measured("h001", NOW_S + 300)), NOW_S + 301)
    assert intake.stale_nodes(NOW_S + 301) == ["busbar"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=5)
        | st.dictionaries(
            st.sampled_from(["node", "time", "v_v", "i_a", "p_w", "q_var", "thd", "x"]), children
        )
    ),
    max_leaves=20,
)


@given(st.lists(st.binary(max_size=60) | JSON, max_size=6))
def test_nothing_that_comes_ends_it(frames: list[object]) -> None:
    intake = Intake()
    for each in frames:
        intake.take(each, NOW_S)
    assert intake.counts.total() == len(frames)
