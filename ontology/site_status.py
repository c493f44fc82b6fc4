"""How a site's host and devices are, as its gateway tells the operator of the fleet."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from ontology.base import Concept, Count, EpochSeconds, Identifier, Label, Part, Real

__all__ = ["DeviceHealth", "DeviceState", "SiteStatus"]


class DeviceState(StrEnum):
    """Whether a device can be read."""

    OK = "OK"
    AWAY = "AWAY"
    """It did not answer when it was read last, or has never answered."""


class DeviceHealth(Part, frozen=True, kw_only=True):
    """A device: how it is, when it last answered (0: never since the start), and what is wrong."""

    name: Identifier
    adapter: Label
    state: DeviceState
    answered_at_s: EpochSeconds = 0
    detail: Label = ""


class SiteStatus(Concept, frozen=True, kw_only=True, tag="parity:SiteStatus"):
    """A site's host: software, link, clock, disk, devices (OCPP BootNotification, StatusNotification).

    `clock_ahead_s` is how far the host's clock is ahead of the server's; `alarms` are for a person to see to.
    """

    site: Identifier
    time_s: EpochSeconds
    version: Label
    started_at_s: EpochSeconds
    connections_lost: Count = 0
    letters_refused: Count = 0
    clock_ahead_s: Real = 0.0
    disk_free_mb: Count = 0
    last_reading_s: EpochSeconds = 0
    devices: Annotated[list[DeviceHealth], Meta(max_length=100)] = []
    alarms: Annotated[list[Label], Meta(max_length=20)] = []
