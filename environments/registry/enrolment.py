"""What an onboarding makes: the person, and what is entered in the catalogues for it."""

from collections.abc import Iterator

import msgspec

from environments.registry.people import Person, new_id
from ontology.assets import Asset, Building, UsagePoint
from ontology.base import Concept
from ontology.measurements import Sensor
from ontology.registration import Consent, ConsentPurpose, NewAsset, NewSensor, Onboarding, PersonalDetails

__all__ = ["consent_of", "owned_by", "person_of", "subject_of", "things_of"]


def subject_of(person: Person) -> str:
    """Return what consents of a person are about: the site, where there is one."""
    return person.site or person.user_id


def consent_of(person: Person, purpose: ConsentPurpose, given: bool, time_s: int, text: str) -> Consent:
    """Return what a person said of a purpose at a time."""
    return Consent(subject=subject_of(person), purpose=purpose, given=given, time_s=time_s, text_version=text)


def person_of(told: Onboarding, details: PersonalDetails, time_s: int) -> Person:
    """Return the person that an onboarding describes; what stands at the site is named after it."""
    return Person(
        user_id=new_id("u_"),
        role_id=told.role_id,
        wallet_id=new_id("w_"),
        name=details.name,
        email=details.email,
        site=told.site,
        segment_id=told.segment_id,
        building_ids=[f"{told.site}-building"] if told.building else [],
        usage_point_ids=[f"{told.site}-connection"] if told.usage_point else [],
        asset_ids=_asset_ids(told),
        sensor_ids=[f"{told.site}-sensor-{number}" for number, _ in enumerate(told.sensors, start=1)],
        registered_at_s=time_s,
    )


def _asset_ids(told: Onboarding) -> list[str]:
    """Name equipment after site and type: `h001-pv`, and a second one `h001-pv-2`."""
    names: list[str] = []
    for i, asset in enumerate(told.assets):
        name = f"{told.site}-{asset.type_id.lower().replace('_', '-')}"
        before = sum(each.type_id == asset.type_id for each in told.assets[:i])
        names.append(f"{name}-{before + 1}" if before else name)
    return names


def things_of(person: Person, told: Onboarding) -> list[Concept]:
    """Return what is entered in the catalogues for a person; owners go by their user id."""
    assets = zip(person.asset_ids, told.assets, strict=True)
    sensors = zip(person.sensor_ids, told.sensors, strict=True)
    return [
        *_site_of(person, told),
        *(_asset(person, name, asset) for name, asset in assets),
        *(_sensor(person, name, sensor) for name, sensor in sensors),
    ]


def _site_of(person: Person, told: Onboarding) -> Iterator[Concept]:
    connection = "".join(person.usage_point_ids)
    if told.usage_point:
        yield UsagePoint(usage_point_id=connection, **msgspec.structs.asdict(told.usage_point))
    if told.building:
        yield Building(
            building_id=person.building_ids[0],
            segment_id=told.segment_id,
            usage_point_id=connection,
            **msgspec.structs.asdict(told.building),
        )


def _asset(person: Person, name: str, asset: NewAsset) -> Asset:
    return Asset(
        asset_id=name,
        owner=person.user_id,
        usage_point_id=person.usage_point_ids[0],
        installed_at_s=person.registered_at_s,
        **msgspec.structs.asdict(asset),
    )


def _sensor(person: Person, name: str, sensor: NewSensor) -> Sensor:
    return Sensor(
        sensor_id=name,
        sensor_type_id=sensor.sensor_type_id,
        asset_id=person.asset_ids[sensor.asset] if sensor.asset is not None else "",
        building_id=person.building_ids[0] if sensor.asset is None else "",
        sampling_period_s=sensor.sampling_period_s,
    )


def owned_by(person: Person) -> list[tuple[str, str]]:
    """Return the entries that are a person's, by kind and name, in the order in which they refer back."""
    return [
        *(("usage-points", name) for name in person.usage_point_ids),
        *(("buildings", name) for name in person.building_ids),
        *(("assets", name) for name in person.asset_ids),
        *(("sensors", name) for name in person.sensor_ids),
    ]
