"""Uploads of any length, in three formats."""

import io
import tracemalloc

import msgspec
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from interface_house import API, READINGS, House, faults, plain, reading

UPLOADS = f"{API}/uploads/IntervalReading"
LINES, CSV, PARQUET = "application/x-ndjson", "text/csv", "application/vnd.apache.parquet"
READING_COUNT = 4_500
"""More than two pieces."""


def many(count: int = READING_COUNT) -> list:
    return [reading(start_s=900 * number, consumed_wh=number) for number in range(count)]


def as_lines(readings: list) -> bytes:
    return b"\n".join(msgspec.json.encode(each) for each in readings)


def as_csv(readings: list) -> bytes:
    rows = [plain(each) for each in readings]
    names = [name for name in rows[0] if name != "type"]
    return "\n".join([",".join(names), *(",".join(str(row[n]) for n in names) for row in rows)]).encode()


def as_parquet(readings: list) -> bytes:
    rows = [{name: value for name, value in plain(each).items() if name != "type"} for each in readings]
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


WAYS = [
    pytest.param(LINES, as_lines, id="json-lines"),
    pytest.param(CSV, as_csv, id="csv"),
    pytest.param(PARQUET, as_parquet, id="parquet"),
]


def count(house: House) -> int:
    return house.call("GET", f"{READINGS}/count", role="aggregator", start=0, end=10**9).json()["data"][
        "count"
    ]


@pytest.mark.parametrize(("kind", "written"), WAYS)
def test_all_of_a_file_is_stored_and_sent_again_nothing_twice(house, kind, written):
    body, headers = written(many()), {"Content-Type": kind}
    for _ in range(2):
        answer = house.call("POST", UPLOADS, role="gateway", content=body, headers=headers)
        assert (answer.status_code, answer.json()["data"]) == (201, {"stored": READING_COUNT})
    assert count(house) == READING_COUNT
    latest = house.call("GET", f"{READINGS}/latest", role="gateway", subject="h001").json()["data"]
    assert latest == plain(many()[-1])


@pytest.mark.parametrize(("kind", "written"), WAYS)
def test_others_readings_are_refused(house, kind, written):
    body = written([reading("h001"), reading("h002")])
    answer = house.call("POST", UPLOADS, role="gateway", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 403
    assert count(house) == 0


def test_a_bad_line_is_named_and_only_the_pieces_before_it_are_stored(house):
    lines = as_lines(many(2_500)).split(b"\n")
    lines[2_200] = b'{"subject": "h001", "start_s": 7, "colour": "red"}'
    answer = house.call(
        "POST", UPLOADS, role="gateway", content=b"\n".join(lines), headers={"Content-Type": LINES}
    )
    assert answer.status_code == 422
    assert "line 2200: start_s" in faults(answer) or "line 2201: start_s" in faults(answer)
    assert answer.json()["data"] == {"stored": 2_000}
    assert count(house) == 2_000


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        (CSV, b"subject,colour\nh001,red\n", "line 1"),
        (CSV, as_csv([reading()]) + b",extra", "line 2"),
        (CSV, b"\xff\xfe", "line 1"),
        (LINES, b"{", "line 1: body"),
        (LINES, b"[1]", "line 1: body"),
        (PARQUET, b"no parquet", "body"),
    ],
)
def test_what_cannot_be_read_is_said(house, kind, body, field):
    answer = house.call("POST", UPLOADS, role="gateway", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 422
    assert field in faults(answer)


def test_another_content_type_is_none_that_is_read(house):
    answer = house.call("POST", UPLOADS, role="gateway", content=b"x", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, list(faults(answer))) == (415, ["Content-Type"])


def test_memory_stays_bounded_whatever_the_length():
    line = msgspec.json.encode(reading()) + b"\n"

    def peak(count: int) -> int:
        house = House()
        house.repository.store = forget  # what is held here is the database's affair

        async def body():
            for _ in range(count // 500):
                yield line * 500

        tracemalloc.start()
        answer = house.call("POST", UPLOADS, role="gateway", content=body(), headers={"Content-Type": LINES})
        assert answer.json()["data"] == {"stored": count}
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    async def forget(facts):
        pass

    peak(2_000)
    assert peak(40_000) < 2 * peak(8_000)
