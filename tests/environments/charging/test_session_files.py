import json

import pytest

from benchmarks.acn_sessions import acn_document, acnportal_queue
from environments.charging.session_files import read_sessions, sessions_of
from ontology.errors import InvalidInput

ITEM = {
    "_id": "5bc90cb9f9af8b0d7fe77cd2",
    "clusterID": "0039",
    "connectionTime": "Wed, 25 Apr 2018 11:08:04 GMT",
    "disconnectTime": "Wed, 25 Apr 2018 13:20:10 GMT",
    "doneChargingTime": "Wed, 25 Apr 2018 13:21:10 GMT",
    "kWhDelivered": 7.932,
    "sessionID": "2_39_78_362_2018-04-25 11:08:04.400812",
    "siteID": "0002",
    "spaceID": "CA-496",
    "stationID": "2-39-78-362",
    "timezone": "America/Los_Angeles",
    "userID": None,
    "userInputs": None,
}
WISH = {
    "WhPerMile": 250,
    "kWhRequested": 25.0,
    "milesRequested": 100,
    "minutesAvailable": 463,
    "modifiedAt": "Wed, 25 Apr 2018 11:10:00 GMT",
    "paymentRequired": True,
    "requestedDeparture": "Wed, 25 Apr 2018 19:40:04 GMT",
    "userID": 61,
}


def problems_of(content):
    with pytest.raises(InvalidInput) as caught:
        sessions_of(content)
    return {each.path: each.expected for each in caught.value.problems}


def test_a_session_is_read_as_the_interface_returns_it():
    (session,) = sessions_of({"_items": [{**ITEM, "userID": "000061", "userInputs": [WISH]}]})
    assert (session.point, session.driver, session.delivered_wh) == ("CA-496", "000061", 7_932)
    assert (session.arrival_s, session.departure_s) == (1_524_654_484, 1_524_662_410)
    assert session.wishes[0].energy_wh == 25_000
    assert session.wishes[0].departure_s == 1_524_685_204


def test_who_never_registered_has_no_wish():
    (session,) = sessions_of([ITEM])
    assert (session.driver, session.wishes) == ("", ())


def test_a_queue_of_acnportal_tells_the_same():
    document = acn_document(3, days=3)
    recorded, queued = sessions_of(document), sessions_of(acnportal_queue(document))
    assert [each.delivered_wh for each in queued] == [each.delivered_wh for each in recorded]
    for one, other in zip(recorded, queued, strict=True):
        assert abs((one.departure_s - one.arrival_s) - (other.departure_s - other.arrival_s)) <= 300


def test_a_simulator_of_acnportal_says_when_its_queue_begins():
    registry = acnportal_queue(acn_document(3, days=1), period_min=1)
    registry["context_dict"]["1"] = {
        "class": "acnportal.acnsim.simulator.Simulator",
        "attributes": {"event_queue": registry["id"], "start": "00:00:00.000000 01042019", "period": 1},
    }
    sessions = sessions_of({**registry, "id": "1"})
    assert sessions[0].arrival_s // 86_400 * 86_400 == 1_554_076_800


def test_all_that_is_wrong_is_said_at_once():
    found = problems_of(
        {
            "_items": [
                {**ITEM, "kWhDelivered": -1, "connectionTime": "yesterday"},
                7,
                {**ITEM, "disconnectTime": ITEM["connectionTime"], "sessionID": "b"},
                {**ITEM, "userInputs": [{**WISH, "kWhRequested": "much"}], "sessionID": "c"},
                {**ITEM, "timezone": "Mars/Olympus", "sessionID": "d"},
                {key: value for key, value in ITEM.items() if key not in ("spaceID", "stationID")},
            ]
        }
    )
    assert set(found) == {
        "_items[0].kWhDelivered",
        "_items[0].connectionTime",
        "_items[1]",
        "_items[2].disconnectTime",
        "_items[3].userInputs[0].kWhRequested",
        "_items[4].timezone",
        "_items[5].spaceID",
    }


def test_a_session_is_there_once():
    assert "sessionID" in problems_of([ITEM, ITEM])


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"_items": []},
        3,
        None,
        {"id": "1", "context_dict": {}},
        {"id": "1", "context_dict": []},
        {"id": "1", "context_dict": {"1": {"attributes": {"_queue": [[0, "9"]]}}}},
    ],
    ids=["nothing", "no items", "a number", "null", "an empty registry", "a list of objects", "a lost event"],
)
def test_what_is_no_data_set_is_refused(content):
    assert problems_of(content)


@pytest.mark.parametrize("text", ["{", "", "[]"], ids=["broken", "empty", "no sessions"])
def test_a_bad_file_is_refused(text, tmp_path):
    (tmp_path / "sessions.json").write_text(text)
    with pytest.raises(InvalidInput):
        read_sessions(tmp_path / "sessions.json")


def test_a_file_is_read(tmp_path):
    (tmp_path / "sessions.json").write_text(json.dumps(acn_document(1, days=1)))
    assert len(read_sessions(tmp_path / "sessions.json")) > 10
