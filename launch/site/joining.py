"""A site joins its community: keys are drawn, shown with the one-time code, and what it is told is kept."""

from pathlib import Path

from environments.site.enrolled import Enrolled, write_enrolled
from environments.site.enrolment import EnrolmentRequest, NewAgent, enrol
from environments.site.keystore import Keystore
from environments.wire.addresses import place_of
from launch.site.cast import agent_names
from launch.site.host import endpoint_of
from launch.site.loading import LoadedSite
from ontology.errors import Conflict, Refused

__all__ = ["join"]

REMAINS = ("keystore.json", "enrolled.json", "agents.sqlite")
"""What a site that has run before has in its data folder."""


async def join(site: LoadedSite, code: str, *, again: bool = False) -> Enrolled:
    """Enrol a site and write down keys and terms, all of them or none.

    Args:
        site: what the installer wrote.
        code: the one-time code that the community's operator gave.
        again: also where the data folder has an enrolment already, whose keys are then replaced.

    Raises: Conflict when there is an enrolment already, Refused when the community says no, Unavailable when
        it cannot be reached or trusted, or the disk does not take it.
    """
    _require_blank(site.data, again)
    keys, request = new_keys(site, code)
    granted = await enrol(
        place_of(site.file.community.enrolment, "https"), endpoint_of(site).ssl_context, request
    )
    if granted.terms.domain != site.file.community.domain:
        raise Refused(f"the community's domain is {granted.terms.domain}, not {site.file.community.domain}")
    enrolled = Enrolled(terms=granted.terms, authority=granted.authority, certificates=granted.certificates)
    keys.write(site.data / "keystore.json")
    (site.data / "certificates.json").unlink(missing_ok=True)
    write_enrolled(site.data, enrolled)
    return enrolled


def new_keys(site: LoadedSite, code: str) -> tuple[Keystore, EnrolmentRequest]:
    """Draw keys for a site's agents, and return what of them the community is told."""
    domain, names = site.file.community.domain, agent_names(site.file)
    keys = Keystore.drawn(f"{site.file.site}-{name}@{domain}" for name in names)
    agents = {}
    for name in names:
        own = keys.agents[f"{site.file.site}-{name}@{domain}"]
        agents[name] = NewAgent(verify_key=own.signer().verify_key.hex(), password=own.password)
    return keys, EnrolmentRequest(site=site.file.site, code=code, agents=agents)


def _require_blank(data: Path, again: bool) -> None:
    found = [name for name in REMAINS if (data / name).exists()]
    if found and not again:
        raise Conflict(
            f"{data} has {', '.join(found)} already; with --again new keys are drawn, the rest stays"
        )
