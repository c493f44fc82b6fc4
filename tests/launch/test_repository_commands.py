"""`parity-mas repository`: a database made, filled, looked at, exported, pruned, on SQLite and PostgreSQL."""

import pytest
from typer.testing import CliRunner

from launch.cli import app

READING = "parity:IntervalReading"
EXPORT = ("export", "sqlite://", "--entity", READING, "--out", "x.csv")
CSV = """subject,start_s,consumed_wh,produced_wh,consumed_w,produced_w,quality
h001,1714608000,100,0,400,0,VALID
h001,1714608900,120,0,480,0,
h002,1714608900,7,0,28,0,ESTIMATED
"""


def parity(*arguments, code=0):
    result = CliRunner().invoke(app, ["repository", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'facts.sqlite'}"
    return request.getfixturevalue("postgresql_url")


@pytest.fixture
def readings(tmp_path):
    file = tmp_path / "readings.csv"
    file.write_text(CSV)
    return file


def test_a_database_is_made_filled_and_looked_at(url, readings):
    assert "made, version" in parity("init", url)
    assert "already" in parity("init", url)
    assert "up to date" in parity("upgrade", url)
    for _ in range(2):  # doing it again changes nothing
        assert "3 facts stored" in parity("ingest", url, readings, "--entity", READING)
    told = parity("status", url)
    assert "defaultmarket" in told
    assert "3  2024-05-02 00:00 – 2024-05-02 00:15" in told


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_what_is_exported_can_be_taken_in_by_another_market(url, readings, tmp_path, ending):
    parity("ingest", url, readings, "--entity", READING)
    out = tmp_path / f"out.{ending}"
    assert "3 facts" in parity("export", url, "--entity", READING, "--out", out)
    parity("ingest", url, out, "--entity", READING, "--market", "other")
    again = tmp_path / "again.csv"
    parity("export", url, "--entity", READING, "--out", again, "--market", "other")
    assert again.read_text() == CSV.replace("0,\n", "0,VALID\n")


def test_an_export_may_be_a_part(url, readings, tmp_path):
    parity("ingest", url, readings, "--entity", READING)
    out = tmp_path / "out.csv"
    part = (
        "--subject",
        "h001",
        "--from",
        "2024-05-02T00:15",
        "--to",
        "2024-05-03",
        "--where",
        "consumed_w gt 5",
    )
    assert "1 facts" in parity("export", url, "--entity", READING, "--out", out, *part)


def test_what_is_past_its_time_is_pruned(url, readings):
    parity("ingest", url, readings, "--entity", READING)
    assert "nothing is older" in parity("prune", url, "--at", "2025-05-02")
    assert "nothing is older" in parity("prune", url, "--keep", f"{READING}=0", "--at", "2030-01-01")
    assert "3 deleted, older than 396 days" in parity("prune", url, "--at", "2030-01-01")


def test_a_file_with_one_wrong_row_stores_nothing(url, readings):
    readings.write_text(CSV + "h003,1714608900,-7,0,28,0,\n")
    assert "rows[3]" in parity("ingest", url, readings, "--entity", READING, code=2)
    assert "parity:IntervalReading" not in parity("status", url)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("status", "postgresql://user:geheim@host/database"), "without a password"),
        (("prune", "sqlite://", "--keep", "parity:LemResult=1", "--keep", "x=1"), "settled by"),
        (("prune", "sqlite://", "--at", "yesterday"), "a time such as"),
        (("export", "sqlite://", "--entity", "x", "--out", "x.csv"), "can be stored"),
        (("export", "sqlite://", "--entity", READING, "--out", "x.xls"), "one of parquet, csv, json"),
        (
            ("export", "sqlite://", "--entity", READING, "--out", "x.csv", "--where", "a = 1"),
            "FIELD OP VALUE",
        ),
        (("ingest", "sqlite://", "none.csv", "--entity", READING), "none.csv"),
    ],
)
def test_what_is_wrong_ends_with_exit_code_2_and_says_what_would_be_right(
    arguments, told, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    output = parity(*arguments, code=2)
    assert told in output
    assert "geheim" not in output
    assert list(tmp_path.iterdir()) == []


def test_the_url_may_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("PARITY_REPOSITORY", f"sqlite:///{tmp_path / 'facts.sqlite'}")
    assert "made" in parity("init")
