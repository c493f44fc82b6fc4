"""The traffic light: criteria, transitions and steadiness (SPEC 2.1)."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from post_office import some

from behaviours.decisions.grid import Light, Strain, causes, next_light, red_since, severity, state_of
from behaviours.decisions.grid.traffic_light import Thresholds, limit_w
from ontology.grid import GridState, GridStatusEvent

GREEN, YELLOW, RED = GridState.GREEN, GridState.YELLOW, GridState.RED
CALM = Strain(0.3, 0.99, 1.01)
STRAINED = Strain(0.9, 0.99, 1.01)
BROKEN = Strain(1.3, 0.99, 1.01)


@pytest.mark.parametrize(
    ("strain", "state", "cause"),
    [
        (Strain(0.79, 0.96, 1.04, 0.014), GREEN, []),
        (Strain(0.81, 1.0, 1.0), YELLOW, ["loading"]),
        (Strain(1.01, 1.0, 1.0), RED, ["loading"]),
        (Strain(0.1, 0.949, 1.0), YELLOW, ["voltage-low"]),
        (Strain(0.1, 0.899, 1.0), RED, ["voltage-low"]),
        (Strain(0.1, 1.0, 1.051), YELLOW, ["voltage-high"]),
        (Strain(0.1, 1.0, 1.101), RED, ["voltage-high"]),
        (Strain(0.1, 1.0, 1.0, 0.016), YELLOW, ["unbalance"]),
        (Strain(0.1, 1.0, 1.0, 0.021), RED, ["unbalance"]),
        (Strain(0.9, 0.89, 1.0), RED, ["loading", "voltage-low"]),
    ],
)
def test_the_worst_criterion_decides(strain: Strain, state: GridState, cause: list[str]) -> None:
    assert severity(strain) is state
    assert causes(strain) == cause


@pytest.mark.parametrize(
    ("light", "foreseen", "options", "expected"),
    [
        pytest.param(Light(), CALM, {}, Light(), id="calm stays green"),
        pytest.param(Light(), None, {}, Light(), id="nothing foreseen is green"),
        pytest.param(Light(), STRAINED, {}, Light(YELLOW), id="foreseen strain is yellow"),
        pytest.param(Light(), BROKEN, {}, Light(YELLOW), id="foreseen violation is yellow however large"),
        pytest.param(Light(), BROKEN, {"unresolved": True}, Light(RED), id="still unresolved is red"),
        pytest.param(Light(), CALM, {"unresolved": True}, Light(), id="nothing to resolve"),
        pytest.param(Light(), CALM, {"measured": BROKEN}, Light(RED), id="measured is red at once"),
        pytest.param(Light(), CALM, {"measured": STRAINED}, Light(YELLOW), id="measured strain is yellow"),
        pytest.param(Light(YELLOW), CALM, {}, Light(YELLOW, 1), id="one calm interval is not enough"),
        pytest.param(Light(YELLOW, 1), CALM, {}, Light(), id="two calm intervals are"),
        pytest.param(Light(YELLOW, 1), STRAINED, {}, Light(YELLOW), id="a relapse starts anew"),
        pytest.param(Light(RED), STRAINED, {}, Light(RED, 1, YELLOW), id="red remembers the yellow between"),
        pytest.param(Light(RED, 1, YELLOW), CALM, {}, Light(YELLOW), id="red goes to the worst of the two"),
        pytest.param(Light(RED, 1), CALM, {}, Light(), id="red goes to green after two calm ones"),
        pytest.param(Light(RED, 1), BROKEN, {"unresolved": True}, Light(RED), id="red relapses"),
    ],
)
def test_transitions(light: Light, foreseen: Strain | None, options: dict, expected: Light) -> None:
    assert next_light(light, foreseen, **options) == expected


LIMITS = {
    "loading yellow": Strain(0.80, 1.0, 1.0),
    "loading red": Strain(1.00, 1.0, 1.0),
    "low voltage yellow": Strain(0.1, 0.95, 1.0),
    "low voltage red": Strain(0.1, 0.90, 1.0),
    "high voltage yellow": Strain(0.1, 1.0, 1.05),
    "high voltage red": Strain(0.1, 1.0, 1.10),
    "unbalance yellow": Strain(0.1, 1.0, 1.0, 0.015),
    "unbalance red": Strain(0.1, 1.0, 1.0, 0.020),
}
HOW = {
    "foreseen": lambda strain: {"foreseen": strain},
    "foreseen and asked for": lambda strain: {"foreseen": strain, "unresolved": True},
    "measured": lambda strain: {"foreseen": None, "measured": strain},
    "both": lambda strain: {"foreseen": strain, "measured": strain, "unresolved": True},
}
"""In which ways a strain comes to the light."""


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("how", HOW)
@given(noises=st.lists(st.floats(0.99, 1.01), min_size=5, max_size=60))
@some
def test_noise_of_one_per_cent_at_any_limit_changes_the_light_at_most_twice_an_hour(limit, how, noises):
    around, light, states = LIMITS[limit], Light(), []
    for noise in noises:
        strain = Strain(
            around.loading * noise,
            around.voltage_min_pu * noise if around.voltage_min_pu < 1 else 1.0,
            around.voltage_max_pu * noise if around.voltage_max_pu > 1 else 1.0,
            around.unbalance * noise,
        )
        light = next_light(light, **HOW[how](strain))
        states.append(light.state)
    changes = [before is not after for before, after in pairwise(states)]
    assert max(sum(changes[hour : hour + 4]) for hour in range(len(changes))) <= 2
    assert sum(changes) <= 2


@given(calm=st.integers(1, 6))
@some
def test_the_light_goes_down_after_as_many_calm_intervals_as_it_is_told(calm):
    light, thresholds = Light(YELLOW), Thresholds(calm_intervals=calm)
    for number in range(1, calm + 1):
        light = next_light(light, CALM, thresholds=thresholds)
        assert light.state is (GREEN if number == calm else YELLOW)


def test_margins_say_how_far_below_a_limit_a_strain_is_over():
    nearly = Strain(0.79, 1.0, 1.0)
    held, over = Thresholds(ratio_margin=0.05), Thresholds(ratio_margin=0.01)
    assert next_light(Light(YELLOW, 1), nearly, thresholds=held).state is YELLOW
    assert next_light(Light(YELLOW, 1), nearly, thresholds=over).state is GREEN


def test_red_is_measured_after_two_minutes() -> None:
    since, red = red_since(None, BROKEN, 1_000.0)
    assert (since, red) == (1_000.0, False)
    since, red = red_since(since, BROKEN, 1_060.0)
    assert (since, red) == (1_000.0, False)
    assert red_since(since, BROKEN, 1_120.0) == (1_000.0, True)
    assert red_since(since, STRAINED, 1_120.0) == (None, False)
    assert red_since(None, BROKEN, 1_000.0, Thresholds(red_after_s=0)) == (1_000.0, True)


def test_a_missing_state_is_green() -> None:
    assert state_of(None) is GREEN
    event = GridStatusEvent(
        segment_id="s",
        start_s=900,
        end_s=1_800,
        published_at_s=600,
        state=RED,
        causes=["loading"],
        loading=1.2,
        voltage_min_pu=0.9,
        voltage_max_pu=1.0,
    )
    assert state_of(event) is RED


@pytest.mark.parametrize(("state", "most_w"), [(GREEN, 50_000), (YELLOW, 50_000), (RED, 40_000)])
def test_a_segment_may_take_what_keeps_it_from_getting_red_and_while_red_what_relieves_it(
    state: GridState, most_w: int
) -> None:
    assert limit_w(50_000, state) == most_w
