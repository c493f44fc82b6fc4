"""Topic maps: values found in messages, messages made of commands, and all that is wrong with a map."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from post_office import some

from environments.devices.mqtt import message_for, value_in
from environments.devices.topic_map import TopicCommand, TopicMap, TopicValue, require_consistent
from ontology.errors import InvalidInput


def told(**changes):
    return TopicValue(**({"quantity": "power_w", "topic": "t"} | changes))


@pytest.mark.parametrize(
    ("payload", "how", "value"),
    [
        (b"230.5", {}, 230.5),
        (b"230.5", {"path": ""}, 230.5),
        (b'{"a": {"b": [1, 2.5]}}', {"path": "$.a.b[1]", "scale": 1000}, 2_500),
        (b'{"power": "-3"}', {"path": "$.power", "sign": -1}, 3),
        (b"68", {"offset": -32.0}, 36),
    ],
)
def test_values_are_found_scaled_and_signed(payload, how, value):
    assert value_in(payload, told(**how)) == pytest.approx(value)


@pytest.mark.parametrize(
    "payload", [b"", b"on", b"{}", b'{"x": null}', b'{"x": true}', b'{"x": 1e999}', b"\xff"]
)
def test_what_is_no_number_is_said(payload):
    with pytest.raises(InvalidInput):
        value_in(payload, told(path="$.x"))


@some
@given(st.integers(-100_000, 100_000), st.sampled_from([1, -1]))
def test_what_is_told_in_kilowatts_is_what_is_read_in_kilowatts(power_w, sign):
    command = TopicCommand(is_for="setpoint_w", topic="t", template='{"kw": {value}}', scale=0.001, sign=sign)
    heard = value_in(message_for(command, power_w, "i"), told(path="$.kw", scale=1000, sign=sign))
    assert heard == pytest.approx(power_w, abs=0.51)


def test_an_id_cannot_break_out_of_its_template():
    command = TopicCommand(is_for="setpoint_w", topic="t", template='{"v": {value}, "id": "{id}"}')
    message = msgspec.json.decode(message_for(command, 1, '", "v": 9000, "x": "'))
    assert message == {"v": 1, "id": '", "v": 9000, "x": "'}


def test_all_that_does_not_fit_together_is_named_at_once():
    wrong = TopicMap(
        asset="h001-bess",
        kind="storage",
        values=(told(), told()),
        commands=(TopicCommand(is_for="setpoint_w", topic="t", template="on"),),
    )
    with pytest.raises(InvalidInput) as caught:
        require_consistent(wrong)
    assert [(each.path, each.value) for each in caught.value.problems] == [
        ("values", "state_of_charge"),
        ("values", "power_w"),
        ("commands[0].template", "on"),
    ]
