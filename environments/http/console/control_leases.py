"""Control of devices on loan: for whom, until when, and what became of it.

A lease is written down before its instruction is sent, so that a console that dies in between leaves a line
saying that nobody knows the answer. The instruction carries the end of the lease: the device goes back to its
own plans at that time whether the console still lives or not. A device is lent to one at a time.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from environments.http.access_database import AccessDatabase
from environments.http.tables import leases
from ontology.control import Instruction, InstructionState
from ontology.errors import Conflict

__all__ = ["LONGEST_S", "SHORTEST_S", "Lease", "LeaseState", "LeaseStore", "settled_state"]

SHORTEST_S = 60
LONGEST_S = 7_200
"""As long as a person's word holds at most (SPEC 4.8)."""


class LeaseState(StrEnum):
    """Where a lease stands."""

    ASKED = "asked"
    """The instruction was to be sent; no answer has been written down."""
    HELD = "held"
    OVER = "over"
    """It ended in time: the device follows its own plans again."""
    GIVEN_BACK = "given back"
    TURNED_DOWN = "turned down"
    FAILED = "failed"


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A device on loan; times are epoch seconds of the agents' clock, half-open."""

    lease_id: str
    asset_id: str
    token_id: str
    holder: str
    from_s: int
    until_s: int
    told: Instruction
    state: LeaseState
    outcome: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the device is on loan, as far as is known."""
        return self.state in (LeaseState.ASKED, LeaseState.HELD)


class LeaseStore:
    """The leases of a console, in its database."""

    def __init__(self, database: AccessDatabase) -> None:
        self._database = database

    def take(self, lease: Lease) -> Lease:
        """Write a lease down before its instruction is sent.

        Raises: Conflict when the device is on loan already.
        """

        def write(connection: sa.Connection) -> None:
            ended = leases.update().where(leases.c.slot == lease.asset_id, leases.c.until_s <= lease.from_s)
            connection.execute(ended.values(slot=None))
            connection.execute(leases.insert().values(_row(lease)))

        try:
            self._database.run(write)
        except sa.exc.IntegrityError:
            raise Conflict(f"{lease.asset_id} is on loan already; it can be given back first") from None
        return lease

    def settle(self, lease_id: str, state: LeaseState, outcome: str) -> None:
        """Write down what became of a lease."""
        changes: dict[str, str | None] = {"state": state, "outcome": outcome}
        if state is not LeaseState.HELD:
            changes["slot"] = None
        asked = leases.update().where(leases.c.lease_id == lease_id).values(changes)
        self._database.run(lambda connection: connection.execute(asked))

    def of(self, asset_id: str, now_s: int, most: int = 20) -> Sequence[Lease]:
        """Return the leases of a device, the newest first; what has ended in time is over."""
        asked = sa.select(leases).where(leases.c.asset_id == asset_id)
        asked = asked.order_by(leases.c.from_s.desc(), leases.c.lease_id).limit(most)
        rows = self._database.run(lambda connection: connection.execute(asked).mappings().all())
        return [_lease(row, now_s) for row in rows]


def settled_state(status: InstructionState) -> LeaseState:
    """Return what an instruction's status means for its lease."""
    if status in (InstructionState.REJECTED, InstructionState.REVOKED):
        return LeaseState.TURNED_DOWN
    return LeaseState.FAILED if status is InstructionState.ABORTED else LeaseState.HELD


def _row(lease: Lease) -> dict[str, object]:
    row = msgspec.structs.asdict(lease)
    return row | {"told": msgspec.json.encode(lease.told).decode(), "slot": lease.asset_id}


def _lease(row: sa.RowMapping, now_s: int) -> Lease:
    plain = {key: value for key, value in row.items() if key != "slot"}
    plain["told"] = msgspec.json.decode(plain["told"], type=Instruction)
    lease = Lease(**plain | {"state": LeaseState(plain["state"])})
    if lease.state is LeaseState.HELD and lease.until_s <= now_s:
        return msgspec.structs.replace(lease, state=LeaseState.OVER)
    return lease
