from pathlib import Path

import launch.packages
from launch.packages import PACKAGES, foreign_packages


def test_our_own_packages_raise_no_complaint():
    assert foreign_packages() == []


def test_a_package_from_elsewhere_is_named(tmp_path, monkeypatch):
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    (complaint,) = foreign_packages()
    assert complaint.startswith(f"agents comes from {tmp_path / 'agents'}")


def test_a_package_that_was_overwritten_is_named(monkeypatch):
    home = Path(launch.packages.__file__).parents[1]
    monkeypatch.setattr(launch.packages, "_recorded_hashes", lambda home: {"agents/__init__.py": "other"})
    assert foreign_packages() == [f"agents in {home} was overwritten by another distribution"]


def test_a_package_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert len(foreign_packages(tmp_path)) == len(PACKAGES)
