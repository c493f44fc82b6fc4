"""The REST interface of `parity-mas serve`: where it listens, and whom it lets in how fast."""

from typing import Annotated

from msgspec import Meta

from launch.schema.section import Section

__all__ = ["Api"]


class Api(Section, frozen=True, kw_only=True):
    """Where and how the REST interface is served."""

    host: Annotated[str, Meta(description="address to listen at")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="0 = any free one")] = 8800
    database: Annotated[
        str, Meta(description="of tokens and the audit log: SQLite or PostgreSQL, by URL")
    ] = "sqlite:///access.sqlite"
    certificate: Annotated[str | None, Meta(description="PEM file; with `key` the interface is HTTPS")] = None
    key: Annotated[str | None, Meta(description="PEM file of the certificate's key")] = None
    requests_per_s: Annotated[
        float, Meta(gt=0, le=100_000, description="granted to a token that names no rate of its own")
    ] = 50
    deadline_s: Annotated[
        float, Meta(gt=0, le=600, description="real seconds that an agent may take to answer")
    ] = 10
