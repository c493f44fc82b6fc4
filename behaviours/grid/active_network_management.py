"""The DSO relieves its network before and in an emergency (D8.1 3.9, SPEC 2.7, 4.10)."""

import structlog

from behaviours.behaviour import Behaviour, every, on, when
from behaviours.decisions.bilateral_contract import (
    BilateralContract,
    activation_ticks,
    availability_ticks,
    is_kept,
    reason_to_refuse_signal,
    relief_w,
)
from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.traffic_light import limit_w
from behaviours.decisions.payments import tokens_of
from behaviours.grid.dso_settings import DsoSettings
from behaviours.grid.marketplace_keeping import MarketplaceKeeping
from behaviours.grid.relief_planning import ReliefPlanning
from behaviours.market.payments import PayerSettings, Paying
from ontology.base import INTERVAL_S
from ontology.discourse import Acknowledgement
from ontology.errors import ParityError, Refused
from ontology.flexibility_trading import DemandResponseReport, DRSignal
from ontology.grid import GridState
from ontology.ledger import SettlementKind
from ontology.letter import Letter

__all__ = ["ActiveNetworkManagement"]

log = structlog.get_logger()

_ACTIVATED, _REPORTED, _SINCE = "activated ", "reported ", "contracts since"
SECONDS_AN_HOUR = 3600
MINUTE_S = 60
REPORT_WITHIN_S = 120
"""How long after its end the DSO waits to hear what came of a signal."""
REMEMBERED_S = 2 * 86_400


class ActiveNetworkManagement(Behaviour):
    """Relieves a segment in an emergency: it calls on the aggregator's contract (D8.1 3.9, SPEC 2.7)."""

    settings: DsoSettings

    def setup(self) -> None:
        """Nothing has been called yet."""
        self.calls = 0
        self.reports: list[DemandResponseReport] = []
        self.import_w: dict[str, tuple[float, float]] = {}
        """What each segment's sites drew last, and are expected to draw next, in W."""
        self._called_w: dict[str, int] = {}

    @when("started")
    def note_beginning(self) -> None:
        """Note since when contracts are held; no hour before is paid for."""
        if self.agent.kept_bytes(_SINCE) is None:
            self.keep(_SINCE, str(self.now_s()).encode())

    def stand_down(self, network: Network) -> None:
        """Note that a segment's emergency is over."""
        self._called_w.pop(network.segment_id, None)

    def relieve(self, network: Network, start_s: int) -> None:
        """Call on a contract for the power that is too much; without contracts limit the segment's import.

        What was called for is called for again until the emergency is over. An interval that is running
        already is relieved from this minute on.
        """
        contract = self._contract(network.segment_id, max(start_s, self.now_s()))
        if contract is None and self.settings.contracts:
            self.agent.counts["emergencies without a contract"] += 1
            return
        self.calls += 1
        most_w = self._limit_w(network)
        delta_w = self._change_w(network.segment_id, most_w, contract) if contract else 0
        begin_s = max(start_s, self.now_s() // MINUTE_S * MINUTE_S)
        signal = DRSignal(
            signal_id=f"dr-{network.segment_id}-{begin_s}",
            segment_id=network.segment_id,
            start_s=begin_s,
            duration_s=start_s + INTERVAL_S - begin_s,
            limit_w=None if delta_w else most_w,
            delta_w=delta_w or None,
            contract_id=contract.contract_id if contract else self.settings.contract_id,
            deadline_s=begin_s + MINUTE_S if begin_s > start_s else start_s,
        )
        if contract is not None:
            self.keep(f"{_ACTIVATED}{contract.contract_id} {begin_s}", signal)
        self.sibling(MarketplaceKeeping).note_call(signal)
        self.agent.spawn(self._signal(signal, contract))

    def _limit_w(self, network: Network) -> int:
        """Return the most that a segment may take or give in its emergency, in W.

        This is where the transformer is yellow again, or less where voltages or cables need less.
        """
        most_w = limit_w(network.transformer.rated_va, GridState.RED, self.settings.thresholds)
        import_w = self.import_w.get(network.segment_id, (0.0,))
        change_w = self.sibling(ReliefPlanning).emergency_w(network, relief_w(most_w, import_w))
        kept_w = abs(max(import_w, key=abs)) - abs(change_w)
        return max(0, min(most_w, int(kept_w))) if change_w else most_w

    def _change_w(self, segment_id: str, most_w: int, contract: BilateralContract) -> int:
        """Return the change of power to call for, in W, at most what the contract reserves."""
        wanted_w = relief_w(most_w, self.import_w.get(segment_id, (0.0,)))
        before_w = self._called_w.get(segment_id, 0)
        if abs(before_w) > abs(wanted_w):
            wanted_w = before_w
        self._called_w[segment_id] = max(-contract.reserved_w, min(contract.reserved_w, wanted_w))
        return self._called_w[segment_id]

    def _contract(self, segment_id: str, start_s: int) -> BilateralContract | None:
        """Return a contract that may be called at a time, the cheapest first."""
        by_price = sorted(self.settings.contracts, key=lambda c: (c.activation_ticks_per_kwh, c.contract_id))
        for contract in by_price:
            prefix = f"{_ACTIVATED}{contract.contract_id} "
            activated = [int(name.removeprefix(prefix)) for name in self.agent.kept_names(prefix)]
            signal = DRSignal(
                signal_id="?",
                segment_id=segment_id,
                start_s=start_s,
                duration_s=INTERVAL_S,
                limit_w=0,
                contract_id=contract.contract_id,
                deadline_s=start_s,
            )
            now_s = self.now_s()
            if not reason_to_refuse_signal(contract, signal, now_s, now_s, activated):
                return contract
        return None

    async def _signal(self, signal: DRSignal, contract: BilateralContract | None) -> None:
        """Call on the aggregator, and pay for what it reports when the signal is over."""
        within_s = signal.start_s + signal.duration_s + REPORT_WITHIN_S - self.now_s()
        try:
            report = await self.ask(self.settings.aggregator, signal, DemandResponseReport, within_s=within_s)
        except ParityError as error:
            self.agent.counts["signals not served"] += 1
            log.warning("emergency signal not served", signal=signal.signal_id, why=str(error))
            return
        self._take(report, contract)

    @on(DemandResponseReport)
    def take_report(self, report: DemandResponseReport, letter: Letter) -> Acknowledgement:
        """Pay for what the aggregator reports; what was reported already changes nothing.

        Raises: Refused when it is not the aggregator's, or nothing was called for.
        """
        if letter.sender != self.settings.aggregator:
            raise Refused("only the aggregator serves signals")
        called = self.kept(f"{_ACTIVATED}{report.contract_id} {report.start_s}", DRSignal)
        contract = next((c for c in self.settings.contracts if c.contract_id == report.contract_id), None)
        if contract is None or called is None or called.signal_id != report.signal_id:
            raise Refused(f"{report.signal_id} was not called for")
        self._take(report, contract)
        return Acknowledgement(of=letter.message_id)

    def _take(self, report: DemandResponseReport, contract: BilateralContract | None) -> None:
        """Note what a signal brought about, and pay for it; once for each signal."""
        name = f"{_REPORTED}{report.signal_id} {report.start_s}"
        if self.agent.kept_bytes(name) is not None:
            return
        self.keep(name, b"")
        self.reports.append(report)
        self.sibling(MarketplaceKeeping).note_report(report, contract)
        if contract is not None:
            self.agent.counts["contracts kept" if is_kept(contract, report) else "contracts not kept"] += 1
            self._pay(contract, report.signal_id, activation_ticks(contract, report))

    @every(minutes=60, offset_s=120)
    def pay_availability(self) -> None:
        """Pay for the power that was held ready in the hour that has ended; forget old activations."""
        end_s = self.now_s() // SECONDS_AN_HOUR * SECONDS_AN_HOUR
        if end_s - SECONDS_AN_HOUR < int(self.agent.kept_bytes(_SINCE) or 0):
            return
        for contract in self.settings.contracts:
            start_s = end_s - SECONDS_AN_HOUR
            ticks = availability_ticks(contract, start_s, end_s)
            self._pay(contract, f"{contract.contract_id}-available-{start_s}", ticks)
        for name in (*self.agent.kept_names(_ACTIVATED), *self.agent.kept_names(_REPORTED)):
            if int(name.rpartition(" ")[2]) < self.now_s() - REMEMBERED_S:
                self.keep(name, None)

    def _pay(self, contract: BilateralContract, payment_id: str, ticks: int) -> None:
        """Order a payment to the aggregator, once for each id."""
        payer: PayerSettings | None = self.settings.payer
        if payer is not None and contract.payee and ticks:
            tokens = tokens_of([(contract.payee, ticks)], payer.tokens_per_currency)
            self.sibling(Paying).pay(SettlementKind.DEMAND_RESPONSE, payment_id, tokens)
