"""Whether our six packages are our own: their names are common, and others install the same ones."""

import base64
import hashlib
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

__all__ = ["PACKAGES", "foreign_packages"]

PACKAGES = ("agents", "behaviours", "contracts", "environments", "launch", "ontology")
HOME = Path(__file__).resolve().parents[1]


def foreign_packages(home: Path = HOME) -> list[str]:
    """Return a sentence for each package that does not come from where this file is, or was overwritten."""
    recorded = _recorded_hashes(home)
    found = (_complaint(name, home, recorded.get(f"{name}/__init__.py")) for name in PACKAGES)
    return [complaint for complaint in found if complaint]


def _complaint(name: str, home: Path, recorded: str | None) -> str | None:
    spec = PathFinder.find_spec(name)
    places = [] if spec is None else list(spec.submodule_search_locations or [spec.origin or ""])
    if not places:
        return f"{name} is missing; it belongs in {home}"
    if Path(places[0]).resolve() != home / name:
        return f"{name} comes from {places[0]}, not from {home}"
    if recorded is not None and _digest(home / name / "__init__.py") != recorded:
        return f"{name} in {home} was overwritten by another distribution"
    return None


def _recorded_hashes(home: Path) -> dict[str, str]:
    """What pip noted of our files when it installed a wheel; nothing for an editable installation."""
    try:
        files = metadata.distribution("parity-mas").files or []
    except metadata.PackageNotFoundError:
        return {}
    return {
        str(file): file.hash.value
        for file in files
        if file.hash is not None and Path(str(file.locate())).resolve().is_relative_to(home)
    }


def _digest(path: Path) -> str:
    content = path.read_bytes() if path.exists() else b""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
