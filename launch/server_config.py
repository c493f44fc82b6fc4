"""Configurations of XMPP servers for a community: Prosody for one host, ejabberd for a cluster."""

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

__all__ = ["ServerSettings", "ejabberd_config", "prosody_config"]

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class ServerSettings:
    """What a server's configuration depends on; paths are those on the server's machine."""

    domain: str
    certificate: str
    key: str
    data: str = "/var/lib/prosody"
    interfaces: tuple[str, ...] = ("*",)
    port: int = 5222
    log: str = "/var/log/prosody/prosody.log"
    pidfile: str = "/run/prosody/prosody.pid"
    runs_as_root: bool = False
    components: tuple[str, ...] = ()
    """Domains of populations; the secret of each is read from a file of its name beside the certificate."""


def prosody_config(settings: ServerSettings) -> str:
    """Return `prosody.cfg.lua` for Prosody 0.12."""
    return _filled("prosody.cfg.lua", settings)


def ejabberd_config(settings: ServerSettings) -> str:
    """Return `ejabberd.yml` for ejabberd 23 and later, the same on every node of a cluster."""
    return _filled("ejabberd.yml", settings)


def _filled(name: str, settings: ServerSettings) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    return environment.get_template(name).render(s=settings)
