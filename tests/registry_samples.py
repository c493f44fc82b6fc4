"""A registry in a folder, and people for it."""

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from environments.registry import KeyStore, Registry
from environments.repository import SqlRepository
from ontology.assets import Phases
from ontology.registration import (
    ConsentPurpose,
    NewAsset,
    NewBuilding,
    NewSensor,
    NewUsagePoint,
    Onboarding,
    PersonalDetails,
)

T = TypeVar("T")
NOW_S = 1_714_636_800
ANNA = PersonalDetails(name="Anna Bergström-Müller", email="anna.bergstroem@example.org")
BORIS = PersonalDetails(name="Boris Papadopoulos", email="boris@example.net")


def household(site: str = "h001", **changes: Any) -> Onboarding:
    told: dict[str, Any] = {
        "role_id": "PROSUMER",
        "site": site,
        "segment_id": "segment-001",
        "building": NewBuilding(type_id="RESIDENTIAL", geo_zone="DE-10115", floor_area_m2=120.0),
        "usage_point": NewUsagePoint(phases=Phases.THREE, import_max_w=20_000, export_max_w=10_000),
        "assets": [
            NewAsset(type_id="PV", rated_power_w=5_000),
            NewAsset(type_id="BESS", rated_power_w=3_000, capacity_wh=6_000, controllable=True),
            NewAsset(type_id="PV", rated_power_w=2_000),
        ],
        "sensors": [
            NewSensor(sensor_type_id="ACTIVE_POWER_W", asset=0),
            NewSensor(sensor_type_id="TEMPERATURE_DEGC"),
        ],
        "consents": [ConsentPurpose.FLEXIBILITY],
    }
    return Onboarding(**(told | changes))


def new_registry(folder: Path, url: str = "") -> Registry:
    KeyStore.create(folder / "keys").close()
    registry = opened_registry(folder, url)
    inline(registry.catalogue.seed())
    return registry


def opened_registry(folder: Path, url: str = "") -> Registry:
    facts = SqlRepository(url or f"sqlite:///{folder / 'registry.sqlite'}")
    return Registry(facts, KeyStore(folder / "keys"))


def inline(work: Coroutine[Any, Any, T]) -> T:
    """Return what a call returns, which completes without waiting for anything."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the registry waited for something")


def files_of(folder: Path) -> bytes:
    """Return everything that is in the files of a folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
