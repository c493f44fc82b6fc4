"""What every section of a scenario shares."""

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["JabberId", "Price", "Section", "Share"]

Share = Annotated[float, Meta(ge=0, le=1)]
JabberId = Annotated[str, Meta(pattern=r"^[^@/\s\"&':<>]+@[^@/\s]+$")]
Price = Annotated[float, Meta(ge=0, le=10)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping of the scenario file; its keys are the field names."""
