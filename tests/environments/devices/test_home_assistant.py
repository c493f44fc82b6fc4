"""Devices that announce themselves as Home Assistant's discovery has it: a topic map for each."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.devices.home_assistant import announced_in, topic_map_of
from environments.devices.mqtt import value_in
from environments.devices.topic_map import TopicMap, require_consistent

DEVICE = {"identifiers": ["bms-7"], "manufacturer": "Acme", "model": "Box", "name": "Cellar"}
POWER = {
    "device_class": "power",
    "unit_of_measurement": "kW",
    "state_topic": "bms/7/state",
    "value_template": "{{ value_json.battery.power }}",
    "availability_topic": "bms/7/online",
    "payload_available": "yes",
    "device": DEVICE,
}
CHARGE = {
    "dev_cla": "battery",
    "unit_of_meas": "%",
    "~": "bms/7",
    "stat_t": "~/state",
    "val_tpl": "{{ value_json['soc'] | float(0) }}",
    "dev": {"ids": "bms-7"},
}


def told(content, topic="homeassistant/sensor/bms7/config"):
    return announced_in(topic, json.dumps(content).encode())


def test_the_sensors_of_one_device_become_a_topic_map_that_holds():
    entities = [*told(POWER), *told(CHARGE)]
    assert {each.device for each in entities} == {"bms-7"}
    assert entities[0].title == "Acme Box Cellar"
    content = topic_map_of(entities)
    assert content == {
        "kind": "storage",
        "values": [
            {"quantity": "power_w", "topic": "bms/7/state", "path": "$.battery.power", "scale": 1_000.0},
            {"quantity": "state_of_charge", "topic": "bms/7/state", "path": "$.soc", "scale": 0.01},
        ],
        "availability": {"topic": "bms/7/online", "online": "yes"},
    }
    topic_map = msgspec.convert(content | {"asset": "h001-bess"}, TopicMap)
    require_consistent(topic_map)
    state = b'{"battery": {"power": 1.5}, "soc": 40}'
    assert [value_in(state, value) for value in topic_map.values] == [1_500, 0.4]


def test_a_device_announced_with_its_components_is_read_as_well():
    content = {
        "dev": DEVICE,
        "cmps": {
            "a": {"p": "sensor", **{key: POWER[key] for key in ("device_class", "unit_of_measurement")}},
            "b": {"p": "switch", "command_topic": "x"},
            "c": {"p": "sensor", "device_class": "energy", "unit_of_measurement": "kWh", "stat_t": "bms/kwh"},
        },
        "state_topic": "bms/7/power",
    }
    entities = told(content, "homeassistant/device/bms7/config")
    assert [(each.quantity, each.topic, each.path) for each in entities] == [
        ("power_w", "bms/7/power", ""),
        ("energy_wh", "bms/kwh", ""),
    ]


@pytest.mark.parametrize(
    ("template", "path"),
    [
        (None, ""),
        ("{{ value }}", ""),
        ("{{value_json.a.b_c}}", "$.a.b_c"),
        ("{{ value_json.phases[0].p }}", "$.phases[0].p"),
        ("{{ value_json['total-w'] | int }}", "$.total-w"),
    ],
)
def test_simple_templates_are_paths(template, path):
    assert [each.path for each in told(POWER | {"value_template": template})] == [path]


@pytest.mark.parametrize(
    "changes",
    [
        {"value_template": "{{ value_json.a + value_json.b }}"},
        {"value_template": "{% if value > 1 %}1{% endif %}"},
        {"device_class": "humidity"},
        {"unit_of_measurement": "hp"},
        {"state_topic": None},
    ],
    ids=["a sum", "a condition", "not ours", "an unknown unit", "no topic"],
)
def test_what_cannot_be_told_truly_is_left_out(changes):
    assert told(POWER | changes) == []


def test_only_sensors_are_read():
    assert told(POWER, "homeassistant/number/bms7/config") == []


@given(st.one_of(st.binary(max_size=60), st.builds(lambda x: json.dumps(x).encode(), st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["dev", "cmps", "stat_t", "val_tpl", "dev_cla", "ids", "~"]), inner),
    ),
    max_leaves=8,
))))  # fmt: skip
def test_whatever_is_announced_does_no_harm(payload):
    for entity in announced_in("homeassistant/sensor/x/config", payload):
        assert entity.topic
