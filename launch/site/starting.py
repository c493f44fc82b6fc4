"""The files that an installer starts from."""

from pathlib import Path

from environments.site.files import write_whole
from ontology.errors import Conflict

__all__ = ["write_new", "write_site"]

TEMPLATES = Path(__file__).parents[1] / "templates"
MAPS = ("meter", "pv", "battery")


def write_site(folder: Path, site: str, domain: str) -> list[Path]:
    """Write a commented site file and topic maps, and return them.

    Raises: Conflict when one of them is there already; then nothing is written.
    """
    text = (TEMPLATES / "site" / "site.yaml").read_text(encoding="utf-8")
    files = {folder / "site.yaml": text.format(site=site, domain=domain)}
    for name in MAPS:
        source = TEMPLATES / "site" / "maps" / f"{name}.yaml"
        files[folder / "maps" / f"{name}.yaml"] = source.read_text(encoding="utf-8")
    return write_new(files)


def write_new(files: dict[Path, str]) -> list[Path]:
    """Write files that are not there yet, and return them.

    Raises: Conflict when one of them is there already; then nothing is written.
    """
    there = [str(path) for path in files if path.exists()]
    if there:
        raise Conflict(f"{', '.join(there)} is there already; nothing was written")
    for path, text in files.items():
        write_whole(path, text.encode())
    return list(files)
