"""What a community agrees with a site when it enrols: whom to talk to, under which names, at which prices."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from environments.site.files import write_whole
from ontology.errors import InvalidInput, problem
from ontology.membership import MemberCertificate

__all__ = ["Enrolled", "SiteTerms", "read_enrolled", "write_certificates", "write_enrolled"]

Hex = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class SiteTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a site is told once: its segment, its names in the market by epoch, and who serves it."""

    site: str
    domain: str
    segment_id: str
    names: Mapping[int, str]
    """What the site is called in the market, by 30-day epoch."""
    subject_key: Hex
    """Seals the site's lines of the link table."""
    contacts: Mapping[str, str]
    """Addresses of the community's services, by what they do."""
    attestors: tuple[str, ...] = ()
    payment_attestors: tuple[str, ...] = ()
    usual_shares: Mapping[str, tuple[float, ...]] = {}
    """Of a year's mean load, by step of a UTC day, by profile: what holds until a site's own is learnt."""
    draw_w_per_l: tuple[float, ...] = ()
    """Heat usually drawn from a tank, for each litre of a day, by step of a UTC day."""
    tokens_per_currency: int
    has_register: bool = False
    solver: str = "fast"
    planning_intervals: int = 4


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """What a site keeps of its enrolment."""

    terms: SiteTerms
    authority: Hex
    """The market operator's public key, by which certificates are checked."""
    certificates: list[MemberCertificate]


def read_enrolled(data: Path) -> Enrolled:
    """Read what a site was told at its enrolment, with the certificates it has learnt since.

    Raises: InvalidInput when it is missing or damaged.
    """
    file, learnt = data / "enrolled.json", data / "certificates.json"
    try:
        enrolled = msgspec.json.decode(file.read_bytes(), type=Enrolled)
    except OSError as error:
        expected = "what `parity-mas site enrol` writes: enrol this site first"
        raise InvalidInput(problem(str(file), error.strerror or "not readable", expected)) from None
    except msgspec.DecodeError as error:
        raise InvalidInput(problem(str(file), "…", f"as enrolment wrote it ({error}): restore it")) from None
    if learnt.is_file():
        try:
            later = msgspec.json.decode(learnt.read_bytes(), type=list[MemberCertificate])
        except msgspec.DecodeError:
            return enrolled
        return msgspec.structs.replace(enrolled, certificates=[*enrolled.certificates, *later])
    return enrolled


def write_enrolled(data: Path, enrolled: Enrolled) -> None:
    """Write down an enrolment.

    Raises: Unavailable when the disk does not take it.
    """
    write_whole(data / "enrolled.json", msgspec.json.encode(enrolled), mode=0o600)


def write_certificates(data: Path, certificates: list[MemberCertificate]) -> None:
    """Write down the certificates that were learnt.

    Raises: Unavailable when the disk does not take it.
    """
    write_whole(data / "certificates.json", msgspec.json.encode(certificates), mode=0o600)
