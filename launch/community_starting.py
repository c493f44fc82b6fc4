"""The files that a community's operator starts from: its own, its authority's, its server's."""

import ipaddress
from collections.abc import Sequence
from pathlib import Path

from environments.live.certificates import Authority
from launch.server_config import ServerSettings, prosody_config
from launch.site.starting import TEMPLATES, write_new

__all__ = ["write_community"]


def write_community(folder: Path, domain: str, hosts: Sequence[str], sites: int) -> list[Path]:
    """Write a community's files, and return them.

    Args:
        folder: where to.
        domain: of all its agents' addresses.
        hosts: further names and IP addresses that the server is reached by; the first is the usual one.
        sites: how many may join.

    Raises: Conflict when one of the files is there already; then nothing is written.
    """
    at = TEMPLATES / "community"
    lines = "\n".join(f"  - {{id: h{number:03}}}" for number in range(1, sites + 1))
    root = folder.resolve()
    settings = ServerSettings(
        domain=domain,
        certificate=str(root / f"{domain}_cert.pem"),
        key=str(root / f"{domain}_key.pem"),
        data=str(root / "prosody"),
        log=str(root / "prosody.log"),
        pidfile=str(root / "prosody.pid"),
    )
    written = write_new(
        {
            folder / "community.yaml": (at / "community.yaml")
            .read_text(encoding="utf-8")
            .format(domain=domain, host=hosts[0] if hosts else domain),
            folder / "scenario.yaml": (at / "scenario.yaml").read_text(encoding="utf-8").format(sites=lines),
            folder / "prosody.cfg.lua": prosody_config(settings),
        }
    )
    (folder / "prosody").mkdir(mode=0o750, exist_ok=True)
    authority = Authority(folder)
    certificate, key = authority.issue(folder, domain, [each for each in hosts if not _is_wild(each)])
    return [*written, authority.ca_file, certificate, key]


def _is_wild(host: str) -> bool:
    """Tell whether an address means every interface, which no certificate can name."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
