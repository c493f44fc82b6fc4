"""The units that are shipped: understood by systemd, and confined to one folder."""

import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

import launch

UNITS = sorted((Path(launch.__file__).parent / "systemd").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_a_unit(unit, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/parity-mas/bin/parity-mas", "/bin/true"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, unit.name in checked.stderr) == (0, False), checked.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_watched_restarted_and_writes_to_its_own_folder(unit):
    parsed = RawConfigParser(strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(unit.read_text())
    service = parsed["Service"]
    assert (service["Type"], service["Restart"], service["ProtectSystem"]) == ("notify", "always", "strict")
    assert int(service["WatchdogSec"]) > 0
    assert service["StateDirectory"] == "parity-mas"
    assert parsed["Unit"]["StartLimitIntervalSec"] == "0"


def test_there_is_a_unit_for_each_kind_of_host():
    assert [unit.stem for unit in UNITS] == ["parity-community", "parity-site"]
