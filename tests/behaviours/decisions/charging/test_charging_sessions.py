import pytest

from behaviours.decisions.charging.requests import VehicleModel, demand_of, is_full
from behaviours.decisions.charging.sessions import advanced, begun, completed_session
from behaviours.decisions.charging.usage import UsageForecast
from ontology.charging import (
    EvConnectionEvent,
    EvDisconnectionEvent,
    EvSessionState,
    EvSocUpdate,
    EvUserInput,
)

MODEL = VehicleModel(60_000, 1.0)
EXPECTED = UsageForecast(9_000, 5_000, 12_000, 7_000.0, 4_000.0, 12_000.0)


def plugged():
    return begun(
        EvConnectionEvent(asset_id="p1", session_id="s", time_s=100, vehicle="driver", power_max_w=7_000)
    )


def progress(time_s, power_w, delivered_wh=0, soc=0.5, session_id="s"):
    return EvSocUpdate(
        session_id=session_id,
        time_s=time_s,
        state_of_charge=soc,
        energy_delivered_wh=delivered_wh,
        power_w=power_w,
    )


def gone(time_s=900, delivered_wh=3_000):
    return EvDisconnectionEvent(session_id="s", time_s=time_s, energy_delivered_wh=delivered_wh)


def wish(requested_wh=10_000, departure_s=8_000, **other):
    return EvUserInput(
        session_id="s", time_s=100, requested_energy_wh=requested_wh, departure_s=departure_s, **other
    )


def after(*events):
    session = plugged()
    for event in events:
        session = advanced(session, event)
    return session


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], EvSessionState.PLUGGED),
        ([progress(200, 0)], EvSessionState.PLUGGED),
        ([progress(200, 7_000)], EvSessionState.ACTIVE),
        ([progress(200, -7_000)], EvSessionState.ACTIVE),
        ([progress(200, 7_000), progress(300, 0, 500)], EvSessionState.SUSPENDED),
        ([progress(200, 7_000), progress(300, 0, 500), progress(400, 3_000)], EvSessionState.ACTIVE),
        ([progress(200, 7_000), gone()], EvSessionState.COMPLETED),
        ([gone(), progress(950, 7_000)], EvSessionState.COMPLETED),
        ([progress(300, 7_000), progress(200, 0, 100)], EvSessionState.ACTIVE),
        ([progress(300, 7_000), progress(400, 0, 100, session_id="other")], EvSessionState.ACTIVE),
    ],
    ids=[
        "plugged in",
        "waiting",
        "charging",
        "giving back",
        "pausing",
        "resuming",
        "unplugged",
        "after the end",
        "overtaken",
        "of another session",
    ],
)
def test_where_a_session_stands(events, state):
    assert after(*events).state is state


def test_what_ended_is_recorded_with_how_full_the_vehicle_came():
    session = after(wish(), progress(500, 7_000, 3_000, soc=0.55), gone())
    record = completed_session(session, 10_000, 60_000)
    assert record.initial_state_of_charge == pytest.approx(0.5)
    assert (record.arrival_s, record.departure_s, record.delivered_energy_wh) == (100, 900, 3_000)
    assert record.vehicle == "driver"


def test_the_drivers_word_holds_over_what_is_foreseen():
    told = demand_of(after(wish()), EXPECTED, MODEL, 6_000, 200)
    silent = demand_of(plugged(), EXPECTED, MODEL, 6_000, 200)
    assert (told.remaining_wh, told.departure_s, told.power_max_w) == (10_000, 8_000, 6_000)
    assert (silent.remaining_wh, silent.departure_s) == (12_000, 5_000)
    still_drawing = after(progress(500, 6_000, 12_000))
    assert demand_of(still_drawing, EXPECTED, MODEL, 6_000, 600).remaining_wh == 2_000


def test_who_stays_longer_than_said_leaves_as_others_do():
    assert demand_of(after(wish(departure_s=300)), EXPECTED, MODEL, 6_000, 400).departure_s == 5_000


def test_who_takes_nothing_though_told_to_is_full():
    pausing = after(wish(), progress(200, 7_000, 300), progress(300, 0, 500))
    assert not is_full(pausing, told_w=0)
    assert is_full(pausing, told_w=6_000)
    assert demand_of(pausing, EXPECTED, MODEL, 6_000, 300).remaining_wh == 9_500
    assert demand_of(pausing, EXPECTED, MODEL, 6_000, 300, full=True).remaining_wh == 0


def test_what_was_given_back_is_to_be_regained_first():
    session = after(
        wish(v2g_allowed=True, minimum_state_of_charge=0.3),
        progress(200, 0, 0, soc=0.5),
        progress(500, -7_000, 0, soc=0.45),
    )
    demand = demand_of(session, EXPECTED, MODEL, 6_000, 500)
    assert demand.remaining_wh == pytest.approx(13_000)
    assert demand.spare_wh == pytest.approx(9_000)
    assert demand.priority > 1
