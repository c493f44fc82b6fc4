"""How far markets may change a segment's power: GREEN before a sale, not RED after it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.grid.activation_limits import activation_room
from behaviours.decisions.grid.traffic_light import Strain, severity
from ontology.grid import GridState
from ontology.grid_coordination import ActivationStage

BEFORE, AFTER = ActivationStage.PREQUALIFICATION, ActivationStage.ACTIVATION
RATED_VA = 100_000


def strain(loading, low=1.0, high=1.0):
    return Strain(loading=loading, voltage_min_pu=low, voltage_max_pu=high)


@pytest.mark.parametrize(
    ("seen", "net_w", "stage", "less_w", "more_w"),
    [
        pytest.param(strain(0.5), 50_000, BEFORE, 130_000, 30_000, id="up to YELLOW before a sale"),
        pytest.param(strain(0.5), 50_000, AFTER, 150_000, 50_000, id="up to RED once it is sold"),
        pytest.param(strain(0.9), 90_000, BEFORE, 0, 0, id="nothing in YELLOW"),
        pytest.param(strain(0.9), 90_000, AFTER, 190_000, 10_000, id="what was sold is still called"),
        pytest.param(strain(1.1), 110_000, AFTER, 210_000, 0, id="but nothing that makes RED worse"),
        pytest.param(strain(0.4, low=0.96), 40_000, BEFORE, 120_000, 10_000, id="the voltage binds first"),
        pytest.param(
            strain(0.4, high=1.04), -40_000, BEFORE, 10_000, 120_000, id="and when the street gives"
        ),
        pytest.param(strain(0.6), 30_000, BEFORE, 70_000, 10_000, id="a line that is fuller than its share"),
        pytest.param(strain(0.0), 0, BEFORE, 80_000, 80_000, id="an idle segment"),
    ],
)
def test_room_by_stage(seen, net_w, stage, less_w, more_w):
    room = activation_room(seen, net_w, RATED_VA, stage)
    assert room[:2] == pytest.approx((less_w, more_w), abs=1)


@given(
    loading=st.floats(0.06, 1.4),
    low=st.floats(0.85, 1.0),
    share=st.floats(0, 1),
    stage=st.sampled_from(ActivationStage),
)
def test_what_is_granted_keeps_the_light_where_loads_act_in_proportion(loading, low, share, stage):
    net_w = int(loading * RATED_VA)
    room = activation_room(strain(loading, low), net_w, RATED_VA, stage)
    factor = (net_w + share * room.more_w) / net_w
    after = strain(loading * factor, 1 - (1 - low) * factor)
    if room.more_w:
        allowed = GridState.GREEN if stage is BEFORE else GridState.YELLOW
        assert severity(after).severity <= allowed.severity
