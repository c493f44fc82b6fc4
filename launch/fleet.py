"""`parity-mas sites`: how the sites of a community are, from what their gateways told its repository."""

from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from rich.table import Table

from behaviours.ports import Clock
from environments.repository.store import SqlRepository
from environments.simulation.clock import WallClock
from environments.site.invitations import Invitations
from launch.community_file import LoadedCommunity
from launch.community_host import Members
from ontology.codec import message_type_of
from ontology.site_status import DeviceState, SiteStatus

__all__ = ["FleetRow", "fleet_of", "fleet_table"]

SILENT_S = 600
"""A site that told nothing for so long counts as away: it tells every five minutes."""


class FleetRow(NamedTuple):
    """A site as the operator sees it; empty where it never told anything."""

    site: str
    link: str
    version: str
    last_reading: str
    devices: str
    alarms: str
    is_well: bool


async def fleet_of(community: LoadedCommunity, clock: Clock | None = None) -> list[FleetRow]:
    """Return how each site of a community is, in the scenario's order.

    Raises: Unavailable when the repository cannot be opened.
    """
    now_s = (clock or WallClock()).now_s()
    community.data.mkdir(parents=True, exist_ok=True)
    repository = SqlRepository(community.repository)
    members = {each.site: each for each in Members(community).read()}
    invited = Invitations(community.data / "invitations").open_for(now_s)
    zone = ZoneInfo(community.scenario.zone)
    rows = []
    try:
        for site in community.scenario.sites:
            status = await repository.latest(message_type_of(SiteStatus), site.id)
            certificate = members.get(site.id)
            if certificate is None or certificate.is_revoked:
                said = "revoked" if certificate else "invited" if site.id in invited else "not enrolled"
                rows.append(FleetRow(site.id, said, "", "", "", "", said != "revoked"))
            else:
                rows.append(_row(site.id, status if isinstance(status, SiteStatus) else None, now_s, zone))
    finally:
        repository.close()
    return rows


def _row(site: str, status: SiteStatus | None, now_s: float, zone: ZoneInfo) -> FleetRow:
    if status is None:
        return FleetRow(site, "never heard of", "", "", "", "", False)
    silent_s = now_s - status.time_s
    is_up = silent_s < SILENT_S
    link = "up" if is_up else f"away for {_span(silent_s)}"
    if status.connections_lost:
        link += f", lost {status.connections_lost} times"
    healthy = [each.name for each in status.devices if each.state is DeviceState.OK]
    return FleetRow(
        site,
        link,
        status.version,
        _moment(status.last_reading_s, zone),
        f"{len(healthy)} of {len(status.devices)}",
        "; ".join([*status.alarms, *_refusals(status)]),
        is_up and not status.alarms,
    )


def _refusals(status: SiteStatus) -> list[str]:
    return [f"{status.letters_refused} letters refused"] if status.letters_refused else []


def fleet_table(rows: list[FleetRow]) -> Table:
    """Return the rows as a table."""
    table = Table("site", "link", "software", "last reading", "devices well", "to see to")
    for row in rows:
        table.add_row(*row[:-1], style=None if row.is_well else "bold")
    return table


def _moment(time_s: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC).astimezone(zone):%d %b %H:%M}" if time_s else "none yet"


def _span(seconds: float) -> str:
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
