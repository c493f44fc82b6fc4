"""The registry of users in its folder: made, opened, and looked into for what a run needs of it.

| in the folder | |
|---|---|
| `registry.json` | the database's URL, and the public key that others seal personal details with |
| `registry.sqlite` | people, catalogues, consents, the link table, where no other database is named |
| `keys/` | the keys, apart: back them up in another place |
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ontology.errors import Conflict, InvalidInput, Unavailable, problem

if TYPE_CHECKING:
    from environments.registry import Registry

__all__ = [
    "create_registry",
    "open_registry",
    "registered_sites",
    "registry_in",
    "registry_of",
    "wallet_on",
    "write_export",
]

NOTE, DATABASE, KEYS = "registry.json", "registry.sqlite", "keys"


def create_registry(folder: Path, url: str = "") -> "Registry":
    """Make a registry in a folder, with seeded catalogues.

    Args:
        folder: its place.
        url: a database of people, where it is not to be a file in the folder.

    Raises: Conflict when there is one already, InvalidInput when the URL is none, Unavailable when the
        database cannot be reached; then nothing is made.
    """
    from environments.registry import KeyStore, Registry
    from environments.repository import SqlRepository
    from launch.results import completed

    if (folder / NOTE).exists() or (folder / KEYS).exists():
        raise Conflict(f"there is a registry in {folder} already")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    facts = SqlRepository(url or f"sqlite:///{folder / DATABASE}")
    registry = Registry(facts, KeyStore.create(folder / KEYS))
    completed(registry.catalogue.seed())
    note = {"database": url, "public_key": registry.public_key.hex()}
    (folder / NOTE).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    return registry


def open_registry(folder: Path) -> "Registry":
    """Open the registry in a folder.

    Raises: Unavailable when there is none or its database cannot be reached, Conflict when its keys do not
        belong to it.
    """
    from environments.registry import KeyStore, Registry
    from environments.repository import SqlRepository

    try:
        url = json.loads((folder / NOTE).read_text(encoding="utf-8"))["database"]
    except OSError:
        raise Unavailable(f"no registry in {folder}: `parity-mas registry init {folder}` makes one") from None
    except (ValueError, KeyError, TypeError):
        raise InvalidInput(
            problem(str(folder / NOTE), "", "as `parity-mas registry init` wrote it")
        ) from None
    return Registry(SqlRepository(url or f"sqlite:///{folder / DATABASE}"), KeyStore(folder / KEYS))


def registry_of(folder: str) -> "Registry | None":
    """Open the registry that a scenario names, if it names one.

    Raises: as `open_registry`.
    """
    return open_registry(Path(folder)) if folder else None


@contextmanager
def registry_in(folder: Path) -> Iterator["Registry"]:
    """Open the registry in a folder, and close it afterwards."""
    registry = open_registry(folder)
    try:
        yield registry
    finally:
        registry.close()


def registered_sites(folder: Path, sites: Sequence[str]) -> list[str]:
    """Return which of some sites are somebody's.

    Raises: Unavailable when there is no registry.
    """
    with registry_in(folder) as registry:
        known = {site for site, _, _ in registry.portfolio()}
    return [site for site in sites if site in known]


def write_export(exported: Mapping[str, Any], path: Path) -> None:
    """Write what is stored about somebody: one JSON file, or a ZIP file with one for each part.

    Raises: InvalidInput when the file's name ends otherwise.
    """
    from launch.run_folder import replace_file

    if path.suffix not in (".json", ".zip"):
        raise InvalidInput(problem("--out", str(path), "a name that ends with .json or .zip"))
    if path.suffix == ".json":
        replace_file(path, _pretty(exported))
    else:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, part in exported.items():
                archive.writestr(f"{name}.json", _pretty(part))
        replace_file(path, packed.getvalue())
    path.chmod(0o600)


def wallet_on(registry: "Registry", user_id: str, source: str, contract: str = "") -> dict[str, Any]:
    """Return what a user holds on a ledger under all pseudonyms together, and what moved it, in order.

    Raises: InvalidInput when there is no such user, or the ledger knows none of the pseudonyms.
    """
    from launch.ledger_source import opened_source

    wallets: list[dict[str, Any]] = []
    with opened_source(source, contract) as ledger:
        for account in registry.accounts(user_id):
            with suppress(InvalidInput):  # an epoch in which the user did not play
                wallets.append(
                    {
                        "pseudonym": account,
                        "balance_tokens": ledger.balance(account),
                        "entries": [msgspec.structs.asdict(each) for each in ledger.movements(account)],
                    }
                )
    if not wallets:
        raise InvalidInput(problem("SOURCE", source, "a ledger on which the user has an account"))
    total = sum(each["balance_tokens"] for each in wallets)
    return {"user_id": user_id, "balance_tokens": total, "accounts": wallets}


def _pretty(part: Any) -> bytes:
    return (json.dumps(part, ensure_ascii=False, indent=2) + "\n").encode()
