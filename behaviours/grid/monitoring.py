"""The DSO watches its network: measured and foreseen flows become the traffic light (D8.1 3.9, SPEC 2.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
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
from behaviours.decisions.flexibility_market.terms import ProcurementTerms
from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.power_flow import FlowResult, PowerFlow, over_phases
from behaviours.decisions.grid.traffic_light import (
    STANDARD,
    Light,
    Strain,
    Thresholds,
    causes,
    limit_w,
    next_light,
    severity,
)
from behaviours.decisions.payments import tokens_of
from behaviours.grid.dstatcom_coordination import CoordinationSettings, DstatcomCoordination
from behaviours.grid.flexibility_procurement import FlexibilityProcurement
from behaviours.information.delivery import grouped
from behaviours.market.payments import PayerSettings, Paying
from ontology.base import INTERVAL_S
from ontology.codec import message_type_of
from ontology.discourse import Acknowledgement, Query, QueryResult
from ontology.errors import Failed, ParityError, Refused
from ontology.flexibility_trading import DemandResponseReport, DRSignal
from ontology.forecasts import Forecast
from ontology.grid import (
    GridConstraint,
    GridState,
    GridStatusEvent,
)
from ontology.ledger import SettlementKind
from ontology.letter import Letter
from ontology.measurements import IntervalReading
from ontology.performatives import Performative

__all__ = ["ActiveNetworkManagement", "DsoSettings", "NetworkMonitoring"]

log = structlog.get_logger()

_FORECAST = message_type_of(Forecast)
_READING = message_type_of(IntervalReading)

UNSOLVABLE = Strain(loading=9.99, voltage_min_pu=0.5, voltage_max_pu=1.5, unbalance=1.0)
"""What a load that the feeder cannot carry counts as: the power flow has no solution."""

_ACTIVATED, _REPORTED, _SINCE = "activated ", "reported ", "contracts since"
SECONDS_AN_HOUR = 3600
REPORT_WITHIN_S = 120
"""How long after its end the DSO waits to hear what came of a signal."""
REMEMBERED_S = 2 * 86_400

SITES_A_QUERY = 24
"""Forecasts of a day that fit one letter."""


OUTLOOK_STEPS = 4
"""Intervals that are looked at ahead, unless flexibility is to be bought: an hour."""


@dataclass(frozen=True, kw_only=True)
class DsoSettings:
    """The networks that the DSO runs, and whom it works with."""

    networks: tuple[Network, ...]
    repository: str
    aggregator: str
    dstatcoms: CoordinationSettings | None = None
    """Its D-STATCOMs, where it has any."""
    thresholds: Thresholds = STANDARD
    outlook_steps: int = OUTLOOK_STEPS
    reactive_share: float = 0.2
    """var of reactive power that a consumed W brings with it (power factor 0.98)."""
    contract_id: str = "bilateral"
    """Of the standing agreement where no contracts were made."""
    contracts: tuple[BilateralContract, ...] = ()
    payer: PayerSettings | None = None
    flexibility: ProcurementTerms | None = None
    """Of the explicit flexibility market, where there is one."""
    sellers: Mapping[str, tuple[str, ...]] | None = None
    """Whom it asks for flexibility, by segment; nobody where none is named, None is the aggregator always."""


class NetworkMonitoring(Behaviour):
    """Solves the power flow of what was measured and what is foreseen, and sets the light 5 minutes ahead."""

    settings: DsoSettings
    publishes = (GridStatusEvent, GridConstraint)

    def setup(self) -> None:
        """Recall the lights of the last interval; without any they are green."""
        self._flow = PowerFlow(self.settings.networks)
        self._sites = [site for network in self.settings.networks for site in network.sites]
        self._phases = np.concatenate([network.site_phase for network in self.settings.networks])
        self._escalated: set[tuple[str, int]] = set()
        self.import_w: dict[str, tuple[float, float]] = {}
        """What each segment's sites drew last, and are expected to draw next, in W."""
        self._lights = {network.segment_id: Light() for network in self.settings.networks}
        for network in self.settings.networks:
            last = self.kept(f"light {network.segment_id}", GridStatusEvent)
            if last is not None:
                self._lights[network.segment_id] = Light(last.state)

    @every(minutes=15, offset_s=600)
    async def set_lights(self) -> None:
        """Publish the state of every segment for the coming interval."""
        next_s = self.now_s() // INTERVAL_S * INTERVAL_S + INTERVAL_S
        foreseen_w = await self._foreseen_w(next_s)
        measured_w = await self._measured_w(next_s - 2 * INTERVAL_S)
        net_w = np.concatenate([measured_w[None, :], foreseen_w])
        flows = self.flows(net_w)
        relief_va = self._relief_va(flows)
        if relief_va.any():
            flows = self.flows(net_w, relief_va)
        first = 0
        for network, flow in zip(self.settings.networks, flows, strict=True):
            own = slice(first, first := first + len(network.sites))
            self.import_w[network.segment_id] = (
                float(measured_w[own].sum()),
                float(foreseen_w[0, own].sum()),
            )
            strains = strains_of(flow) if flow else [UNSOLVABLE] * (1 + len(foreseen_w))
            self._set_light(network, strains[0], strains[1:], next_s)
            segment_w = foreseen_w[:, own].sum(axis=1).tolist()
            self.sibling(FlexibilityProcurement).consider(network, strains[1:], segment_w, next_s)

    @every(minutes=15)
    def escalate(self) -> None:
        """Let the next interval be RED already where too little flexibility was bought for it (SPEC 2.1)."""
        start_s = self.now_s() // INTERVAL_S * INTERVAL_S + INTERVAL_S
        for network in self.settings.networks:
            strain = self.sibling(FlexibilityProcurement).unresolved(network.segment_id, start_s)
            if strain is not None:
                self._escalated.add((network.segment_id, start_s))
                self._announce(network, Light(GridState.RED), strain, start_s)
                self.sibling(ActiveNetworkManagement).relieve(network, start_s)

    def flows(
        self, net_w: npt.NDArray[np.float64], relief_va: npt.NDArray[np.complex128] | None = None
    ) -> Sequence[FlowResult | None]:
        """Return each segment's flow at each instant, from the sites' net power (T, sites) in W.

        What D-STATCOMs draw, (T, units, 3) in VA, counts if it is given. None where the load is more
        than the network can carry.
        """
        power_w = over_phases(net_w, self._phases)
        reactive_var = np.maximum(power_w, 0.0) * self.settings.reactive_share
        try:
            if relief_va is None:
                return self._flow.solve(power_w, reactive_var)
            return self._flow.solve(power_w, reactive_var, relief_va.real, relief_va.imag)
        except Failed:
            self.agent.counts["power flows unsolved"] += 1
            return [None] * len(self.settings.networks)

    def _relief_va(self, flows: Sequence[FlowResult | None]) -> npt.NDArray[np.complex128]:
        """Set all D-STATCOMs; return what they drew as was measured and are to draw, (T, units, 3) in VA."""
        coordination, parts = self.sibling(DstatcomCoordination), []
        for network, flow in zip(self.settings.networks, flows, strict=True):
            drew_va = np.array(coordination.reported(network.segment_id)).reshape(-1, 3)
            relief_va = np.zeros((1 + self.settings.outlook_steps, *drew_va.shape), dtype=np.complex128)
            relief_va[0] = drew_va
            ahead_va = coordination.foresee(network, flow, self.settings.thresholds.unbalance_yellow)
            if ahead_va is not None:
                relief_va[1:] = ahead_va
            parts.append(relief_va)
        return np.concatenate(parts, axis=1)

    def _set_light(
        self, network: Network, measured: Strain, foreseen: Sequence[Strain], start_s: int
    ) -> None:
        settings, segment_id = self.settings, network.segment_id
        before = self._lights[segment_id]
        ahead = foreseen[0]
        asked = before.state is not GridState.GREEN or self.sibling(FlexibilityProcurement).was_asked(
            segment_id, start_s
        )
        unresolved = asked and severity(ahead, settings.thresholds) is GridState.RED
        light = next_light(
            before, ahead, measured=measured, unresolved=unresolved, thresholds=settings.thresholds
        )
        escalated = (segment_id, start_s) in self._escalated
        if escalated:
            light = Light(GridState.RED)
        self._escalated = {key for key in self._escalated if key[1] >= start_s}
        self._lights[segment_id] = light
        self._announce(network, light, ahead, start_s)
        if light.state is not GridState.RED:
            self.sibling(ActiveNetworkManagement).stand_down(network)
        elif not escalated:
            self.sibling(ActiveNetworkManagement).relieve(network, start_s)

    def _announce(self, network: Network, light: Light, ahead: Strain, start_s: int) -> None:
        """Tell everybody the light of an interval."""
        settings, segment_id = self.settings, network.segment_id
        event = GridStatusEvent(
            segment_id=segment_id,
            start_s=start_s,
            end_s=start_s + INTERVAL_S,
            published_at_s=self.now_s(),
            state=light.state,
            causes=causes(ahead, settings.thresholds),
            loading=round(float(ahead.loading), 4),
            voltage_min_pu=round(float(ahead.voltage_min_pu), 4),
            voltage_max_pu=round(float(ahead.voltage_max_pu), 4),
        )
        self.keep(f"light {segment_id}", event)
        self.publish(event, segment_id)
        self.tell(settings.repository, event)
        self._constrain(network, light.state, start_s)

    def _constrain(self, network: Network, state: GridState, start_s: int) -> None:
        """Tell everybody what a segment may take and give from an interval on, where that changes."""
        most_w = limit_w(network.transformer.rated_va, state, self.settings.thresholds)
        name = f"constraint {network.segment_id}"
        held = self.kept(name, GridConstraint)
        if held is not None and held.import_max_w == [most_w]:
            return
        constraint = GridConstraint(
            segment_id=network.segment_id, start_s=start_s, import_max_w=[most_w], export_max_w=[most_w]
        )
        self.keep(name, constraint)
        self.publish(constraint, network.segment_id)
        self.tell(self.settings.repository, constraint)

    async def _foreseen_w(self, start_s: int) -> npt.NDArray[np.float64]:
        """Return what the sites expect to draw in the steps from a time, (steps, sites) in W."""
        steps = self.settings.outlook_steps
        power_w = np.zeros((steps, len(self._sites)))
        column = {site: i for i, site in enumerate(self._sites)}
        for group in grouped(self._sites, SITES_A_QUERY):
            query = Query(entity=_FORECAST, subjects=list(group), latest=True)
            for forecast in await self._ask(query):
                if isinstance(forecast, Forecast):
                    power_w[:, column[forecast.subject]] = window(forecast, start_s, steps)
        return power_w

    async def _measured_w(self, start_s: int) -> npt.NDArray[np.float64]:
        """Return what the sites drew in an interval, in W; a missing reading counts as nothing."""
        power_w = np.zeros(len(self._sites))
        column = {site: i for i, site in enumerate(self._sites)}
        for group in grouped(self._sites):
            query = Query(entity=_READING, subjects=list(group), start_s=start_s, end_s=start_s + INTERVAL_S)
            for reading in await self._ask(query):
                if isinstance(reading, IntervalReading):
                    power_w[column[reading.subject]] = reading.consumed_w - reading.produced_w
        return power_w

    async def _ask(self, query: Query) -> Sequence[object]:
        try:
            result = await self.ask(self.settings.repository, query, QueryResult, act=Performative.QUERY_REF)
        except ParityError:
            self.agent.counts["repository unavailable"] += 1
            return ()
        return result.items


class ActiveNetworkManagement(Behaviour):
    """Relieves a segment in an emergency: it calls on the aggregator's contract (D8.1 3.9, SPEC 2.7)."""

    settings: DsoSettings

    def setup(self) -> None:
        """Nothing has been called yet."""
        self.calls = 0
        self.reports: list[DemandResponseReport] = []
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

        What was called for is called for again until the emergency is over.
        """
        contract = self._contract(network.segment_id, start_s)
        if contract is None and self.settings.contracts:
            self.agent.counts["emergencies without a contract"] += 1
            return
        self.calls += 1
        most_w = limit_w(network.transformer.rated_va, GridState.RED, self.settings.thresholds)
        delta_w = self._change_w(network.segment_id, most_w, contract) if contract else 0
        signal = DRSignal(
            signal_id=f"dr-{network.segment_id}-{start_s}",
            segment_id=network.segment_id,
            start_s=start_s,
            duration_s=INTERVAL_S,
            limit_w=None if delta_w else most_w,
            delta_w=delta_w or None,
            contract_id=contract.contract_id if contract else self.settings.contract_id,
            deadline_s=start_s,
        )
        if contract is not None:
            self.keep(f"{_ACTIVATED}{contract.contract_id} {start_s}", signal)
        self.agent.spawn(self._signal(signal, contract))

    def _change_w(self, segment_id: str, most_w: int, contract: BilateralContract) -> int:
        """Return the change of power to call for, in W, at most what the contract reserves."""
        wanted_w = relief_w(most_w, self.sibling(NetworkMonitoring).import_w.get(segment_id, (0.0,)))
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


def strains_of(result: FlowResult) -> list[Strain]:
    """Return how hard a feeder is used at each instant of a power flow."""
    rows = zip(
        result.loading.tolist(),
        result.voltage_min_pu.tolist(),
        result.voltage_max_pu.tolist(),
        result.unbalance_max.tolist(),
        strict=True,
    )
    return [Strain(*row) for row in rows]


def window(forecast: Forecast, start_s: int, steps: int) -> list[int]:
    """Return the powers of a forecast in W from a time on; its last value holds on."""
    first = max(0, (start_s - forecast.start_s) // forecast.step_s)
    values = forecast.power_w[first : first + steps] or forecast.power_w[-1:]
    return values + values[-1:] * (steps - len(values))
