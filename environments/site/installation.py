"""What tells a host's present memory from any earlier one: drawn with the store, and lost with it."""

import secrets

from behaviours.ports import AgentStore

__all__ = ["installation_of"]

HOST = "host"
NAME = "installation"


def installation_of(store: AgentStore) -> str:
    """Return the id of a store's memory, drawn when the store is new.

    Ids of letters begin with it, so a host that lost its memory (a new card) never says a number again.

    Raises: Unavailable when the disk does not take it.
    """
    known = store.load(HOST).get(NAME)
    if known is not None:
        return known.decode()
    drawn = secrets.token_hex(5)
    store.commit(HOST, {NAME: drawn.encode()})
    return drawn
