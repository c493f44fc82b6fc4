"""Frames of systems outside: everything that is wrong is said at once."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.monitoring.frames import MeasurementFrame, frame_from, measurement_from
from environments.wire.frames import FRAME_BYTES, iso, read_frame, seconds_of, write_frame
from ontology.errors import InvalidInput
from ontology.grid import GridMeasurement

GOOD = {
    "node": "busbar",
    "time": "2024-01-10T17:00:00Z",
    "v_v": [231.0, 230.5, 229.9],
    "i_a": [60.0, 40.0, 20.0, 35.0],
    "p_w": [13_000, 9_000.4, -4_000],
    "q_var": [1_300, 900, 400],
}


def read(**changes: object) -> MeasurementFrame:
    content = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return read_frame(MeasurementFrame, msgspec.json.encode(content))


def test_a_frame_says_what_was_measured_and_when() -> None:
    measurement = measurement_from(read())
    assert measurement.time_s == 1_704_906_000
    assert measurement.power_w == [13_000, 9_000, -4_000]
    assert measurement_from(read(time="2024-01-10T18:00:00+01:00")) == measurement


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        read(node=None, v_v=[231.0, -1.0, 229.9], i_a=[1.0, 2.0], quality="fine", colour="red")
    assert [each.path for each in caught.value.problems] == ["node", "v_v[1]", "i_a", "quality", "colour"]


@pytest.mark.parametrize(
    "time", ["2024-01-10T17:00:00", "yesterday", "1704906000", "1200-01-01T00:00:00Z", ""]
)
def test_a_time_needs_an_offset(time: str) -> None:
    with pytest.raises(InvalidInput, match="ISO 8601 with an offset"):
        seconds_of(time)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b"\xff\xfe", b'{"v_v": NaN}', b"[" * 100_000, b" " * (FRAME_BYTES + 1)]
)
def test_what_is_no_frame_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_frame(MeasurementFrame, raw)


powers = st.lists(st.integers(-(10**6), 10**6), min_size=3, max_size=3)


@given(
    time_s=st.integers(0, 4_000_000_000),
    volts=st.lists(st.floats(0, 1_000), min_size=3, max_size=3),
    amps=st.lists(st.floats(0, 1_000), min_size=4, max_size=4),
    power_w=powers,
    reactive_var=powers,
)
def test_a_measurement_survives_the_way_there_and_back(time_s, volts, amps, power_w, reactive_var) -> None:
    measurement = GridMeasurement(
        node_id="n",
        time_s=time_s,
        voltage_v=volts,
        current_a=amps,
        power_w=power_w,
        reactive_var=reactive_var,
    )
    raw = write_frame(frame_from(measurement))
    assert measurement_from(read_frame(MeasurementFrame, raw)) == measurement
    assert seconds_of(iso(time_s)) == time_s
