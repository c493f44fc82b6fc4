"""What a repository knows about a site: to be shown to whom it belongs, and to be forgotten."""

from collections.abc import Collection

import msgspec

from behaviours.repository_port import Repository, Selection
from environments.repository.keys import ENTITIES
from ontology.base import Concept
from ontology.codec import message_type_of
from ontology.ledger import LedgerEntry
from ontology.market import LemResult

__all__ = ["facts_about", "forget_facts_about", "settled_for"]


async def facts_about(repository: Repository, site: str) -> list[Concept]:
    """Return everything that a repository knows about a site and its devices, by type and time."""
    return [
        fact
        for entity in sorted(ENTITIES)
        if (subjects := await _of_site(repository, entity, site))
        for fact in await repository.select(Selection(entity, subjects))
    ]


async def settled_for(repository: Repository, accounts: Collection[str]) -> list[Concept]:
    """Return what was settled and paid under some pseudonyms, without what others settled beside it."""
    results = await repository.select(Selection(message_type_of(LemResult)))
    own = [_own_rows(each, accounts) for each in results if isinstance(each, LemResult)]
    entries = await repository.select(Selection(message_type_of(LedgerEntry)))
    paid = [
        each
        for each in entries
        if isinstance(each, LedgerEntry) and (each.debit in accounts or each.credit in accounts)
    ]
    return [*(each for each in own if each.rows), *paid]


def _own_rows(result: LemResult, accounts: Collection[str]) -> LemResult:
    return msgspec.structs.replace(result, rows=[row for row in result.rows if row.player in accounts])


async def forget_facts_about(repository: Repository, site: str) -> int:
    """Delete everything that a repository knows about a site and its devices; return how much it was."""
    deleted = 0
    for entity in sorted(ENTITIES):
        subjects = await _of_site(repository, entity, site)
        if subjects:
            deleted += await repository.delete(Selection(entity, subjects))
    return deleted


async def _of_site(repository: Repository, entity: str, site: str) -> list[str]:
    """Return the subjects that are a site, or something at it: `h001`, `h001-pv`, `h001-gateway@…`."""
    known = await repository.subjects(entity) if site else []
    return [each for each in known if each == site or each.startswith(f"{site}-")]
