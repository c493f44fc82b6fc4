"""Becoming, being and ceasing to be a member: registration, consent, pseudonyms on request, erasure."""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta

from ontology.assets import Phases
from ontology.base import (
    Concept,
    Duration,
    Energy,
    EpochSeconds,
    Identifier,
    Label,
    Magnitude,
    Part,
    PowerMagnitude,
    Text,
    require,
)
from ontology.errors import InvalidInput, Problem, problem
from ontology.privacy import Pseudonym, PseudonymScope
from ontology.reading import read_struct

__all__ = [
    "Consent",
    "ConsentPurpose",
    "ErasureRequest",
    "IssuedPseudonym",
    "NewAsset",
    "NewBuilding",
    "NewSensor",
    "NewUsagePoint",
    "Onboarding",
    "PersonalDetails",
    "PseudonymRequest",
    "read_form",
]


class ConsentPurpose(StrEnum):
    """What a person may agree to or not; taking part in the market itself rests on the contract."""

    FLEXIBILITY = "FLEXIBILITY"
    """Virtual power plants, flexibility trade and reserves with the person's devices."""
    ANALYTICS = "ANALYTICS"
    """Studies with the person's measurements, under a pseudonym."""


class PersonalDetails(Part, frozen=True, kw_only=True):
    """What tells who a person is: never in a letter but sealed for the repository."""

    name: Annotated[str, Meta(min_length=1, max_length=256)]
    email: Annotated[
        str, Meta(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=256, description="an e-mail address")
    ]


class NewBuilding(Part, frozen=True, kw_only=True):
    """A building to be registered; `type_id` is of the catalogue, `geo_zone` no finer than a postal code."""

    type_id: Identifier
    geo_zone: Annotated[str, Meta(pattern=r"^[A-Z]{2}-[A-Z0-9-]{1,12}$", description="such as DE-10115")]
    floor_area_m2: Magnitude = 0.0


class NewUsagePoint(Part, frozen=True, kw_only=True):
    """A connection to the grid to be registered."""

    phases: Phases
    import_max_w: PowerMagnitude
    export_max_w: PowerMagnitude
    congestion_point_id: Label = ""


class NewAsset(Part, frozen=True, kw_only=True):
    """A piece of equipment to be registered; `type_id` is of the catalogue."""

    type_id: Identifier
    rated_power_w: PowerMagnitude
    capacity_wh: Energy = 0
    controllable: bool = False
    vendor: Label = ""


class NewSensor(Part, frozen=True, kw_only=True):
    """A sensor to be registered, of an asset by its place in the list, or (without) of the building."""

    sensor_type_id: Identifier
    asset: Annotated[int, Meta(ge=0, le=99)] | None = None
    sampling_period_s: Duration = 900


class Onboarding(Concept, frozen=True, kw_only=True, tag="parity:Onboarding"):
    """Registers a person and the site in one step (D8.1 3.2: new prosumers and assets into the portfolio).

    `details_sealed` are `PersonalDetails`, sealed for the repository alone (SPEC 7.3).
    """

    role_id: Identifier
    site: Label = ""
    segment_id: Label = ""
    building: NewBuilding | None = None
    usage_point: NewUsagePoint | None = None
    assets: Annotated[list[NewAsset], Meta(max_length=100)] = []
    sensors: Annotated[list[NewSensor], Meta(max_length=100)] = []
    consents: Annotated[list[ConsentPurpose], Meta(max_length=10)] = []
    details_sealed: Text = ""


class Consent(Concept, frozen=True, kw_only=True, tag="parity:Consent"):
    """Somebody's agreement to a purpose, given or withdrawn at a time (GDPR Art. 7); the newest holds.

    `subject` is the site that it is about; `text_version` names the words that were agreed to.
    """

    subject: Identifier
    purpose: ConsentPurpose
    given: bool
    time_s: EpochSeconds
    text_version: Label = ""


class PseudonymRequest(Concept, frozen=True, kw_only=True, tag="parity:PseudonymRequest"):
    """Asks for the pseudonym of a site in a scope at a time (SPEC 7.2, D8.1 3.2)."""

    identity: Identifier
    scope: PseudonymScope
    time_s: EpochSeconds


class IssuedPseudonym(Concept, frozen=True, kw_only=True, tag="parity:IssuedPseudonym"):
    """A pseudonym, and when it is in use (SPEC 7.2)."""

    scope: PseudonymScope
    pseudonym: Pseudonym
    valid_from_s: EpochSeconds
    valid_to_s: EpochSeconds

    def __post_init__(self) -> None:
        require(self.valid_to_s > self.valid_from_s, "valid_to_s", self.valid_to_s, "later than valid_from_s")


class ErasureRequest(Concept, frozen=True, kw_only=True, tag="parity:ErasureRequest"):
    """Asks that nobody can tell any more who a user was (GDPR Art. 17)."""

    user_id: Identifier


def read_form(data: object) -> tuple[Onboarding, PersonalDetails]:
    """Return what a form tells, as plain data: an onboarding, with name and email among its fields.

    Raises: InvalidInput with everything that is wrong with either.
    """
    if not isinstance(data, dict):
        raise InvalidInput(problem("", "…", "an object with name, email and the fields of an onboarding"))
    details = {key: data[key] for key in ("name", "email") if key in data}
    told = {key: value for key, value in data.items() if key not in details}
    problems: list[Problem] = []
    found: list[Any] = []
    for cls, content in ((PersonalDetails, details), (Onboarding, told)):
        try:
            found.append(read_struct(cls, content))
        except InvalidInput as error:
            problems += error.problems
    if problems:
        raise InvalidInput(problems)
    return found[1], found[0]
