"""Who may look on from elsewhere, and whether hosts show each other's letters."""

from typing import Annotated

from msgspec import Meta

from launch.schema.section import Section

__all__ = ["Watch"]

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class Watch(Section, frozen=True, kw_only=True):
    """Letters of a live run for those who do not run it."""

    clients: Annotated[
        tuple[Name, ...], Meta(description="XMPP accounts for `parity-mas tap --live`, by name")
    ] = ()
    bodies: Annotated[tuple[Name, ...], Meta(description="those of them that may read what letters say")] = ()
    folder: Annotated[
        str, Meta(description="where each client's way in is written, for its owner's eyes only")
    ] = "watch"
    gather: Annotated[bool, Meta(description="shards: the first host records what the others do as well")] = (
        False
    )

    @property
    def is_offered(self) -> bool:
        """Whether hosts keep their records for others at all."""
        return bool(self.clients) or self.gather
