"""Maps of registers: read with all problems at once; values in our unit and sign."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from environments.devices.modbus.register_map import (
    RegisterValue,
    RegisterWrite,
    encoded,
    known_maps,
    read_register_map,
    size_of,
    told_in,
)
from ontology.errors import InvalidInput, Refused

BATTERY = {
    "kind": "storage",
    "values": [
        {"quantity": "power_w", "register": 10, "type": "int32", "sign": -1},
        {"quantity": "state_of_charge", "register": 12, "type": "uint16", "scale": 0.001},
    ],
    "commands": [
        {"for": "setpoint_w", "writes": [{"register": 20, "type": "int32", "sign": -1}]},
        {"for": "release", "writes": [{"register": 22, "type": "uint16", "constant": 0}]},
    ],
    "watchdog_s": 30,
}


def written(folder, content):
    (folder / "mine.yaml").write_text(yaml.safe_dump(content))
    return read_register_map("mine.yaml", folder)


@pytest.mark.parametrize("name", known_maps())
def test_each_map_that_is_shipped_is_in_order_and_says_what_it_is_of(name):
    assert read_register_map(name).about


def test_a_map_of_ones_own_is_read(tmp_path):
    assert written(tmp_path, BATTERY).watchdog_s == 30


def test_all_that_is_wrong_with_a_map_is_said_at_once(tmp_path):
    with pytest.raises(InvalidInput) as error:
        written(tmp_path, {"kind": "fridge", "values": [{"register": -1}, 7], "colour": "blue"})
    assert [each.path for each in error.value.problems] == [
        "kind",
        "colour",
        "values[0].quantity",
        "values[0].register",
        "values[0].type",
        "values[1]",
    ]
    wrong = BATTERY | {
        "values": [
            {"quantity": "power_w", "register": 65_535, "type": "int32", "scale": 0},
            {"quantity": "power_w", "register": 1, "type": "int16", "minimum": 5, "maximum": 1},
            {"quantity": "imported_wh", "register": 3, "type": "uint16"},
        ],
        "commands": [
            {"for": "setpoint_w", "writes": [{"register": 20, "type": "uint16", "constant": 70_000}]},
        ],
    }
    with pytest.raises(InvalidInput) as error:
        written(tmp_path, wrong)
    assert [(each.path, each.expected[:30]) for each in error.value.problems] == [
        ("values", "state_of_charge, needed by a d"),
        ("values", "told once"),
        ("values", "imported_wh and exported_wh, o"),
        ("values[0].register", "room for int32 before 65536"),
        ("values[0].scale", "a number other than 0"),
        ("values[1].minimum", "at most maximum"),
        ("commands", "one for release, too: how the "),
        ("commands[0].writes", "one that writes what is wanted"),
        ("commands[0].writes[0].constant", "what a register of uint16 can "),
    ]


@pytest.mark.parametrize(
    "content", ["{", "- 1", "just text", ""], ids=["no YAML", "a list", "text", "nothing"]
)
def test_a_file_that_is_no_map_is_said_to_be_none(tmp_path, content):
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(InvalidInput):
        read_register_map("mine.yaml", tmp_path)


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(InvalidInput, match="eastron-sdm630"):
        read_register_map("no-such-meter")


@pytest.mark.parametrize(
    ("registers", "given_", "value"),
    [
        ([0xFFFF, 0xFC18], {"type": "int32", "sign": -1}, 1_000),
        ([0xFC18, 0xFFFF], {"type": "int32", "words": "little"}, -1_000),
        ([0x43E6, 0x8000], {"type": "float32", "scale": 1_000}, 461_000),
        ([250], {"type": "uint16", "scale": 0.1, "offset": -10}, 15),
        ([0x8000], {"type": "int16", "not_implemented": (-32_768,)}, None),
        ([9_000], {"type": "uint16", "maximum": 5_000.0}, None),
        ([0x7FC0, 0], {"type": "float32"}, None),
        ([0, 0, 1, 0], {"type": "uint64"}, 65_536),
    ],
    ids=[
        "sign",
        "word order",
        "float",
        "offset",
        "not implemented",
        "out of bounds",
        "not a number",
        "64 bits",
    ],
)
def test_a_value_is_told_in_our_unit_and_sign(registers, given_, value):
    found = told_in(registers, RegisterValue(quantity="power_w", register=0, **given_))
    assert found == (None if value is None else pytest.approx(value))


def test_what_is_wanted_is_kept_within_the_limits_of_the_write():
    write = RegisterWrite(register=0, type="int16", scale=10, sign=-1, minimum=-5_000, maximum=5_000)
    assert encoded(write, 4_000) == [-400 & 0xFFFF]
    assert encoded(write, 90_000) == [-500 & 0xFFFF]
    with pytest.raises(Refused, match="cannot hold"):
        encoded(RegisterWrite(register=0, type="uint16"), -1)


@given(
    st.sampled_from(["int16", "int32", "int64", "float32", "float64"]),
    st.sampled_from(["big", "little"]),
    st.sampled_from([1, -1]),
    st.integers(-3_000, 3_000),
    st.sampled_from([0.1, 1, 10]),
)
def test_what_is_written_reads_back_as_what_was_wanted(kind, words, sign, steps, scale):
    wanted = steps * scale
    write = RegisterWrite(register=0, type=kind, words=words, sign=sign, scale=scale)
    value = RegisterValue(quantity="power_w", register=0, type=kind, words=words, sign=sign, scale=scale)
    registers = encoded(write, wanted)
    assert len(registers) == size_of(kind)
    assert told_in(registers, value) == pytest.approx(wanted, rel=1e-6, abs=1e-6)
