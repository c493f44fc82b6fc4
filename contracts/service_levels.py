"""Agreements on the chain: the registry of roles and the contract that judges measures."""

from collections.abc import Sequence

from behaviours.decisions.service_level import millionths, terms_of
from contracts.calldata import END, key_hash
from contracts.chain import Chain, Reverted, Signer
from contracts.deployed import DeployedContract
from contracts.register import Registry
from ontology.errors import Refused
from ontology.service_level import KpiFeature, KpiMeasure, KpiRule, Sla, SlaState

__all__ = ["EvmServiceLevels"]

RULES = {KpiRule.ABOVE: 1, KpiRule.BELOW: 2}
STATES: Sequence[SlaState | None] = (None, SlaState.OK, SlaState.VIOLATED, SlaState.NOT_EVALUABLE)
THERE_ALREADY = ("written already", "judged already")


class EvmServiceLevels:
    """The `ServiceLevels` port on the contract service_levels.

    Args:
        chain: where the contract is, or is made.
        registry: who has which role; its DSO deploys the contract.
        writer: writes agreements for the aggregator and brings the oracles' measures.
    """

    def __init__(self, chain: Chain, *, registry: Registry, writer: Signer) -> None:
        self._writer = writer
        self.registry = registry.contract
        address = chain.noted("service_levels")
        self.contract = (
            DeployedContract(chain, "service_levels", address)
            if address
            else DeployedContract.deploy(chain, registry.dso, "service_levels", self.registry.address)
        )
        chain.note("service_levels", self.contract.address)

    async def write_agreement(self, sla: Sla) -> None:
        """Write an agreement down; one that is there stays. Parties are in it as a hash only."""
        terms = key_hash("\n".join(sorted(sla.parties)))
        self._write("writeSla", key_hash(sla.sla_id), sla.start_s, sla.end_s, terms)

    async def write_indicator(self, feature: KpiFeature) -> None:
        """Write an indicator of an agreement down; one that is there stays."""
        terms = terms_of(feature)
        written = (
            key_hash(feature.sla_id),
            RULES[terms.rule],
            terms.limit_millionths,
            key_hash(feature.unit),
            terms.penalty_tokens,
            terms.graded,
            terms.tolerance_millionths,
            terms.most_tokens,
        )
        players = [key_hash(player) for player in feature.players]
        self._write("writeKpi", key_hash(feature.kpi_id), written, players)

    async def judge(self, measure: KpiMeasure) -> int:
        """Have a measure judged, once, and return the penalty in tokens.

        Raises: Refused when the measure does not belong to an agreement that holds, Unavailable when the
        chain cannot be reached.
        """
        self._write(
            "measure",
            key_hash(measure.kpi_id),
            key_hash(measure.player),
            measure.time_s,
            millionths(measure.value),
            key_hash(measure.unit),
            millionths(measure.completeness),
            bytes.fromhex(measure.source_hash) if measure.source_hash else END,
        )
        return (await self.state_of(measure.kpi_id, measure.player, measure.time_s))[1]

    async def state_of(self, kpi_id: str, player: str, time_s: int) -> tuple[SlaState | None, int]:
        """Return the verdict on a measure, if there is one, and its penalty in tokens."""
        state, penalty, _ = self.contract.ask("verdicts", key_hash(kpi_id), key_hash(player), time_s)
        return STATES[state], penalty

    def _write(self, function: str, *arguments: object) -> None:
        try:
            self.contract.send(self._writer, function, *arguments)
        except Reverted as error:
            if str(error) not in THERE_ALREADY:
                raise Refused(f"service levels: {error}") from error
