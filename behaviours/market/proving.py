"""Commitments to datasets: salted by their players, under one root in the register, proven on demand.

```
player's blockchain agent ── LemDataset with a commitment ──> market engine ── root ──> register
                          ── ProofRequest ──────────────────>
                          <── DatasetProof ──────────────────   compared with the register's root
```
"""

from collections.abc import Sequence

import msgspec

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.commitments import Step, commitment, is_under, leaf, path, root
from behaviours.market.blockchain_settings import BlockchainSettings
from behaviours.market.players import DatasetCollection, MarketEngineSettings, PlayerRegistration
from ontology.attestation import DatasetProof, ProofRequest, ProofStep
from ontology.base import INTERVAL_S
from ontology.codec import encode_body
from ontology.errors import Refused
from ontology.letter import Letter
from ontology.market import Lem, LemDataset

__all__ = ["DatasetCommitting", "DatasetProving", "is_proven"]

_ROOT, _BROUGHT = "commitments ", "brought "
PROVEN_S = 2 * 86_400
"""For how long datasets are proven."""
LONGEST_PERIOD_S = 86_400
"""Markets that are settled together begin within a day."""


class Committed(msgspec.Struct, frozen=True, array_like=True):
    """A commitment that a market was closed with."""

    player: str
    start_s: int
    commitment: str


class DatasetCommitting(Behaviour):
    """Commits to what its player brings: nobody finds out from the commitment what that was.

    The salt follows from the agent's key, so that nothing but the key needs to be kept.
    """

    settings: BlockchainSettings

    def committed(self, dataset: LemDataset) -> LemDataset:
        """Return a dataset with its commitment, where there is a register to hold it."""
        if not self.settings.has_register:
            return dataset
        made = self.commitment_of(dataset)
        brought = Committed(dataset.player, dataset.start_s, made)
        self.keep(f"{_BROUGHT}{dataset.start_s}", msgspec.json.encode(brought))
        self.keep(f"{_BROUGHT}{dataset.start_s - PROVEN_S}", None)
        return msgspec.structs.replace(dataset, commitment=made)

    def commitment_of(self, dataset: LemDataset) -> str:
        """Return the commitment to a dataset, whatever commitment it bears.

        Raises: Refused without a key to salt it with.
        """
        signer = self.agent.surroundings.signer
        if signer is None:
            raise Refused("a commitment needs the agent's key")
        content = encode_body(msgspec.structs.replace(dataset, commitment=None))
        return commitment(content, signer.secret(f"dataset {dataset.start_s}")).hex()

    def has_brought(self, start_s: int) -> bool:
        """Tell whether something was brought for an interval."""
        return self.agent.kept_bytes(f"{_BROUGHT}{start_s}") is not None

    async def prove(self, start_s: int, dataset: LemDataset | None = None) -> bool:
        """Tell whether what was brought for an interval, or a dataset, is what its market was closed with.

        Raises: Refused when nothing was brought, the market engine has no proof, or no register is at hand;
        Unavailable when either does not answer.
        """
        register = self.agent.surroundings.register
        raw = self.agent.kept_bytes(f"{_BROUGHT}{start_s}")
        if register is None or raw is None:
            raise Refused(
                "no register is at hand" if register is None else f"nothing was brought for {start_s}"
            )
        mine = msgspec.json.decode(raw, type=Committed)
        if dataset is not None:
            mine = Committed(mine.player, start_s, self.commitment_of(dataset))
        request = ProofRequest(player=mine.player, start_s=start_s)
        proof = await self.ask(self.settings.contacts.market_engine, request, DatasetProof)
        market = await register.market(start_s, start_s + INTERVAL_S, self.settings.segment_id)
        is_mine = Committed(proof.player, proof.start_s, proof.commitment) == mine
        return is_mine and market is not None and is_proven(proof, market.datasets)


class DatasetProving(Behaviour):
    """Knows the commitments that markets were closed with, and proves a player its own."""

    settings: MarketEngineSettings

    def close(self, key: str, lems: Sequence[Lem]) -> str:
        """Note what the markets to be settled under a key are closed with, and return its root."""
        committed = [
            Committed(player, lem.start_s, dataset.commitment)
            for lem in lems
            for player, dataset in sorted(self.sibling(DatasetCollection).of(lem.start_s).items())
            if player in lem.players and dataset.commitment
        ]
        self.keep(f"{_ROOT}{key}", msgspec.json.encode(committed))
        return self.root_of(key)

    def knows(self, key: str) -> bool:
        """Tell whether it was noted what the markets under a key are closed with."""
        return self.agent.kept_bytes(f"{_ROOT}{key}") is not None

    def root_of(self, key: str) -> str:
        """Return the root of what the markets under a key were closed with, empty where that is nothing."""
        leaves = [leaf_of(each) for each in self._committed(f"{_ROOT}{key}")]
        return root(leaves).hex() if leaves else ""

    @on(ProofRequest)
    def prove(self, request: ProofRequest, letter: Letter) -> DatasetProof:
        """Return the way from a player's commitment up to the root in the register.

        Raises: Refused when another than the player's agent asks, or its market was closed without it.
        """
        player = self.sibling(PlayerRegistration).players.get(request.player)
        if player is None or player.address != letter.sender:
            raise Refused(f"{letter.sender} does not speak for {request.player}")
        for name in self.agent.kept_names(_ROOT):
            if not 0 <= request.start_s - period_of(name) < LONGEST_PERIOD_S:
                continue
            committed = self._committed(name)
            for index, each in enumerate(committed):
                if (each.player, each.start_s) == (request.player, request.start_s):
                    return proof_of(committed, index)
        raise Refused(f"no market of {request.start_s} was closed with a dataset of {request.player}")

    def forget(self) -> None:
        """Forget what nobody asks for any more."""
        oldest_s = self.now_s() - PROVEN_S
        for name in self.agent.kept_names(_ROOT):
            if period_of(name) < oldest_s:
                self.keep(name, None)

    def _committed(self, name: str) -> list[Committed]:
        raw = self.agent.kept_bytes(name)
        return msgspec.json.decode(raw, type=list[Committed]) if raw else []


def period_of(name: str) -> int:
    """Return when the settlement period begins whose commitments are kept under a name."""
    return int(name.removeprefix(_ROOT).split(" ")[1])


def leaf_of(committed: Committed) -> bytes:
    """Return the leaf of a commitment."""
    return leaf(committed.player, committed.start_s, bytes.fromhex(committed.commitment))


def proof_of(committed: Sequence[Committed], index: int) -> DatasetProof:
    """Return the proof of one of the commitments under a root."""
    steps = path([leaf_of(each) for each in committed], index)
    return DatasetProof(
        player=committed[index].player,
        start_s=committed[index].start_s,
        commitment=committed[index].commitment,
        path=[ProofStep(other=step.other.hex(), other_is_left=step.other_is_left) for step in steps],
    )


def is_proven(proof: DatasetProof, datasets: str) -> bool:
    """Tell whether a proof leads to the root (hexadecimal) that stands in the register."""
    steps = [Step(bytes.fromhex(each.other), each.other_is_left) for each in proof.path]
    begin = leaf(proof.player, proof.start_s, bytes.fromhex(proof.commitment))
    return bool(datasets) and is_under(begin, steps, bytes.fromhex(datasets))
