"""How the grid operator's systems are reached, and those that a live run emulates."""

from typing import Annotated, Literal

from msgspec import Meta

from launch.schema.section import Section

__all__ = ["Access", "DsoSystems"]


class Access(Section, frozen=True, kw_only=True):
    """Secrets and trust for a system outside; each secret in a file that only its owner may read."""

    token_file: Annotated[
        str | None, Meta(description="for HTTP: the bearer token, 16 characters or more")
    ] = None
    login_file: Annotated[str | None, Meta(description="for MQTT: one line, name:password")] = None
    ca_file: Annotated[
        str | None, Meta(description="certificates to trust, PEM; by default those of the system")
    ] = None


class DsoSystems(Section, frozen=True, kw_only=True):
    """The grid operator's systems, emulated in live runs: monitoring and D-STATCOMs on sockets."""

    listen: Annotated[
        str,
        Meta(description="answer by HTTP there, such as 127.0.0.1:8090; empty = do not"),
    ] = ""
    broker: Annotated[
        str,
        Meta(description="where they publish by MQTT: `mqtt://host:port/prefix`, or mqtts; empty = nowhere"),
    ] = ""
    access: Annotated[Access, Meta(description="the token asked for by HTTP, the login at the broker")] = (
        Access()
    )
    fallback: Annotated[
        Literal["off", "balance", "volt"],
        Meta(description="what a D-STATCOM does when no command comes any more: nothing, or by its own law"),
    ] = "off"
    watchdog_s: Annotated[
        int, Meta(ge=1, le=86_400, description="the longest that a D-STATCOM's command holds, seconds")
    ] = 1_800
