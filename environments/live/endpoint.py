"""Where an XMPP server is, and whom to trust there."""

import ssl
from pathlib import Path
from typing import NamedTuple

__all__ = ["Endpoint", "authority_context", "verified_context"]


class Endpoint(NamedTuple):
    """The way to a community's server: host and port to dial, its domain, and the TLS context for all."""

    host: str
    port: int
    domain: str
    ssl_context: ssl.SSLContext

    def __str__(self) -> str:
        return f"{self.domain} at {self.host}:{self.port}"


def authority_context(authority: str) -> ssl.SSLContext:
    """Return a client's TLS context (1.2 or later) that trusts one authority (PEM) and checks the name.

    Raises: ssl.SSLError when the text holds no certificate.
    """
    context = ssl.create_default_context(cadata=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def verified_context(ca_file: Path) -> ssl.SSLContext:
    """Return a client's TLS context (1.2 or later) that trusts one authority and checks the name.

    Raises: OSError when the file cannot be read, ssl.SSLError when it holds no certificate.
    """
    context = ssl.create_default_context(cafile=str(ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
