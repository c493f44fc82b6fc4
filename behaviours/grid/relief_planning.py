"""The DSO plans relief: set-points of its own means, and flexibility for the rest (SPEC 4.10)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import structlog
from numpy.typing import NDArray

from behaviours.behaviour import Behaviour
from behaviours.decisions.active_network import (
    ActiveNetwork,
    Compensation,
    Lever,
    Limits,
    NetworkRelief,
    OperatingPoint,
    Stage,
    scaled_to_head,
    shared_by_all,
    strain_at,
)
from behaviours.decisions.active_network.own_assets import (
    AssetState,
    OwnAsset,
    after_interval,
    lever_of,
    restoring_w,
)
from behaviours.decisions.flexibility_market.need import needed_w
from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.power_flow import FlowResult
from behaviours.decisions.grid.traffic_light import Strain, severity
from behaviours.grid.der_dispatch import DerDispatch
from behaviours.grid.dso_settings import DsoSettings
from behaviours.grid.dstatcom_coordination import DstatcomCoordination
from ontology.base import INTERVAL_S
from ontology.control import Priority
from ontology.errors import ParityError
from ontology.grid import GridState

__all__ = ["Prospect", "ReliefPlanning", "SegmentOutlook"]

log = structlog.get_logger()

Array = NDArray[np.float64]

OWN_LOADING = 0.95
"""Of the loading at which red begins: what own means aim at where no market says otherwise."""
FLEXIBILITY_EUR_PER_KWH, DIRECT_EUR_PER_KWH = 0.30, 1.0
"""What the means that are not the DSO's own count as; only their order matters here."""
LESS, MORE = "less", "more"
RESTORING_SHARES = (1.0, 0.5, 0.25)


@dataclass(frozen=True)
class SegmentOutlook:
    """What the sites of a segment are foreseen to draw at T instants, and its D-STATCOMs.

    Shapes are (T, sites, 3), (T, sites, 3) and (T, D-STATCOMs, 3).
    """

    power_w: Array
    reactive_var: Array
    compensation_va: NDArray[np.complex128]

    def at(self, instant: int) -> OperatingPoint:
        """Return one instant."""
        return OperatingPoint(
            self.power_w[instant], self.reactive_var[instant], self.compensation_va[instant]
        )


@dataclass(frozen=True)
class Prospect:
    """A segment's strain with what the DSO does itself, and the deviation that it needs beside that, in W."""

    strain: Strain
    needed_w: int


class ReliefPlanning(Behaviour):
    """Works the cascade through: D-STATCOMs, own assets, then what is to be bought or called for."""

    settings: DsoSettings

    def setup(self) -> None:
        """No network has needed anything yet."""
        self._networks: dict[str, tuple[Network, ActiveNetwork]] = {}
        self._points: dict[str, list[OperatingPoint]] = {}

    def foresee(
        self, network: Network, outlook: SegmentOutlook, strains: Sequence[Strain], start_s: int
    ) -> list[Prospect]:
        """Set what the DSO runs itself for the coming interval; return what is left for each foreseen one.

        Args:
            network: the segment.
            outlook: what is measured, then what is foreseen.
            strains: of the same instants, with the D-STATCOMs as they were set already.
            start_s: of the first foreseen interval.
        """
        self._points[network.segment_id] = [outlook.at(t) for t in range(min(2, len(strains)))]
        assets = self.sibling(DerDispatch).assets(network.segment_id)
        prospects = []
        for t in range(1, len(strains)):
            # units are set anew for the coming interval only; later they count as they are foreseen to be set
            units = self._compensation(network) if t == 1 else []
            prospect, relief = self._prospect(network, outlook.at(t), strains[t], assets, units)
            prospects.append(prospect)
            changes_w: Mapping[str, float] = relief.changes_w if relief else {}
            if t == 1:
                if relief is None and assets:
                    changes_w = self._restored(network, outlook.at(1), assets)
                self._act(network, relief, changes_w, start_s, start_s + INTERVAL_S, Priority.CONTRACT)
            assets = [(asset, after_interval(asset, state, changes_w)) for asset, state in assets]
        return prospects

    def relieve_now(
        self, network: Network, outlook: SegmentOutlook, strain: Strain, start_s: int, end_s: int
    ) -> Strain:
        """Set what the DSO runs itself at once, in a contingency; return the strain that is left."""
        self._points[network.segment_id] = [outlook.at(0)]
        assets = self.sibling(DerDispatch).assets(network.segment_id)
        units = self._compensation(network)
        prospect, relief = self._prospect(network, outlook.at(0), strain, assets, units)
        if relief is not None:
            self._act(network, relief, relief.changes_w, start_s, end_s, Priority.DSO_RED)
        return prospect.strain

    def relieve_measured(
        self, network: Network, flow: FlowResult, instant: int, start_s: int, end_s: int
    ) -> None:
        """Set what the DSO runs itself at once, for what is measured at the head of a segment.

        How the sites share it is as they were foreseen to; what own batteries give already is added back.
        """
        points = self._points.get(network.segment_id)
        if not points:
            return
        head_w = flow.busbar_w[instant] - self.sibling(DerDispatch).given_w(network.segment_id)
        units_va = np.array(self.sibling(DstatcomCoordination).reported(network.segment_id)).reshape(-1, 3)
        expected = replace(points[-1], compensation_va=units_va)
        point = scaled_to_head(expected, head_w - units_va.real.sum(axis=0))
        without = self._active(network).flow_with(point)
        outlook = SegmentOutlook(point.power_w[None], point.reactive_var[None], units_va[None])
        strain = strain_at(without) if without else strain_at(flow, instant)
        self.relieve_now(network, outlook, strain, start_s, end_s)

    def emergency_w(self, network: Network, change_w: int) -> int:
        """Return the change of a segment's power that ends its emergency by direct control, in W.

        What was measured and what is foreseen for the coming interval both count; a change that is
        needed for loading alone (`change_w`) is not made smaller.

        Args:
            network: the segment.
            change_w: what loading needs, negative for drawing less.
        """
        limits = Limits.relieved(self.settings.thresholds)
        worst_w = change_w
        for point in self._points.get(network.segment_id, []):
            relief = self._relief(network, point, limits, self._all_levers(point, Stage.DIRECT_CONTROL), ())
            if relief is None:
                continue
            found_w = _whole(relief.changes_w)
            worst_w = found_w if abs(found_w) > abs(worst_w) else worst_w
        return worst_w

    # -- the cascade ----------------------------------------------------------------------------

    def _prospect(
        self,
        network: Network,
        point: OperatingPoint,
        strain: Strain,
        assets: Sequence[tuple[OwnAsset, AssetState]],
        units: Sequence[Compensation],
    ) -> tuple[Prospect, NetworkRelief | None]:
        """Return what own means leave of a strain, and their set-points; None where they are not needed."""
        limits = self._limits()
        if not limits.excess(strain) > 0:
            return Prospect(strain, 0), None
        levers = [lever_of(asset, state, network.sites) for asset, state in assets]
        own = self._relief(network, point, limits, levers, units) if levers or units else None
        if own is not None and own.flow is not None:
            strain = strain_at(own.flow)
            if own.is_clear:
                return Prospect(strain, 0), own
        bought = self._relief(
            network, point, limits, [*levers, *self._all_levers(point, Stage.FLEXIBILITY)], units
        )
        net_w = round(float(point.power_w.sum()))
        if bought is None or bought.flow is None:
            return Prospect(strain, needed_w(strain, net_w, limits.loading, self.settings.thresholds)), own
        return Prospect(strain, _whole(bought.changes_w)), own

    def _relief(
        self,
        network: Network,
        point: OperatingPoint,
        limits: Limits,
        levers: Sequence[Lever],
        units: Sequence[Compensation],
    ) -> NetworkRelief | None:
        try:
            return self._active(network).relieve(point, limits, units, levers)
        except ParityError as error:
            self.agent.counts["reliefs not found"] += 1
            log.warning("no relief found", segment=network.segment_id, why=str(error))
            return None

    def _act(
        self,
        network: Network,
        relief: NetworkRelief | None,
        changes_w: Mapping[str, float],
        start_s: int,
        end_s: int,
        priority: Priority,
    ) -> None:
        """Command the D-STATCOMs and instruct the assets of a segment."""
        if relief is not None:
            self.agent.counts["reliefs"] += 1
            if Stage.DSTATCOM in relief.stages:
                self.sibling(DstatcomCoordination).follow(network.segment_id, relief.compensation_va)
        if self.settings.own_assets:
            self.sibling(DerDispatch).dispatch(network, changes_w, start_s, end_s, priority)

    def _restored(
        self, network: Network, point: OperatingPoint, assets: Sequence[tuple[OwnAsset, AssetState]]
    ) -> dict[str, float]:
        """Return powers that bring batteries back to where they wait, as far as the segment stays green."""
        wanted_w = {asset.asset_id: restoring_w(asset, state) for asset, state in assets}
        levers = [lever_of(asset, state, network.sites) for asset, state in assets]
        if not any(wanted_w.values()):
            return {}
        for share in RESTORING_SHARES:
            changes_w = {name: share * power_w for name, power_w in wanted_w.items()}
            flow = self._active(network).flow_with(point, levers, changes_w)
            strain = strain_at(flow) if flow is not None else None
            if strain and severity(strain, self.settings.thresholds.with_margin()) is GridState.GREEN:
                return changes_w
        return {}

    def _limits(self) -> Limits:
        thresholds, terms = self.settings.thresholds, self.settings.flexibility
        loading = terms.loading_max if terms else OWN_LOADING * thresholds.loading_red
        return Limits.red(thresholds, loading)

    def _compensation(self, network: Network) -> list[Compensation]:
        plan = self.settings.dstatcoms
        units = [each for each in plan.units if each.segment_id == network.segment_id] if plan else []
        return [Compensation(place, unit.rating) for place, unit in enumerate(units)]

    def _all_levers(self, point: OperatingPoint, stage: Stage) -> list[Lever]:
        """Return everybody who draws drawing less, and everybody who gives giving less, in proportion."""
        price = FLEXIBILITY_EUR_PER_KWH if stage is Stage.FLEXIBILITY else DIRECT_EUR_PER_KWH
        drawn_w = float(np.maximum(point.power_w, 0).sum())
        given_w = float(np.maximum(-point.power_w, 0).sum())
        share = self.settings.reactive_share
        found = []
        if drawn_w > 0:
            pattern = shared_by_all(point.power_w)
            found.append(Lever(LESS, stage, pattern, -drawn_w, 0.0, price, reactive_share=share))
        if given_w > 0:
            pattern = shared_by_all(point.power_w, giving=True)
            found.append(Lever(MORE, stage, pattern, 0.0, given_w, price))
        return found

    def _active(self, network: Network) -> ActiveNetwork:
        """Return the model of a segment, built again where the network has changed."""
        known = self._networks.get(network.segment_id)
        if known is None or known[0] is not network:
            known = (network, ActiveNetwork(network))
            self._networks[network.segment_id] = known
        return known[1]


def _whole(changes_w: Mapping[str, float]) -> int:
    """Return what everybody together is to draw less (negative) or give less, in whole W away from 0."""
    total_w = changes_w.get(LESS, 0.0) + changes_w.get(MORE, 0.0)
    power_w = ceil(abs(total_w) - 1e-6)
    return -power_w if total_w < 0 else power_w
