"""The low-voltage feeders of the world: which site is where, and the power that flows there."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.grid.contingency import after_events
from behaviours.decisions.grid.four_wire import FourWire
from behaviours.decisions.grid.network import (
    SINGLE_PHASE_MOST_W,
    Network,
    connect_sites,
    joint_of,
    radial_feeder,
)
from behaviours.decisions.grid.power_flow import FlowResult, PowerFlow, own_phase
from behaviours.decisions.grid.traffic_light import Strain
from environments.networks import feeder_named
from environments.simulation.world.energy import DEVICES
from environments.simulation.world.neutrals import Neutral, conducted, implied
from environments.simulation.world.settings import STREET, CompensatorSettings, FeederSettings, SiteSettings
from ontology.assets import Phases
from ontology.errors import InvalidInput, problem
from ontology.grid import GridSegment

__all__ = ["Feeders", "is_single_phase", "strain_of"]

Array = NDArray[np.float64]

REACTIVE_SHARE = {
    "base": 0.20,
    "pv": 0.0,
    "battery": 0.0,
    "ev": 0.05,
    "heat_pump": 0.25,
    "dhw": 0.0,
    "lighting": 0.33,
}
"""var per W drawn: power factors of 0.98, 1, 1, 1, 0.97, 1 and 0.95."""


def strain_of(flow: FlowResult, instant: int = -1) -> Strain:
    """Return how hard a feeder is used at an instant of a flow result."""
    return Strain(
        float(flow.loading[instant]),
        float(flow.voltage_min_pu[instant]),
        float(flow.voltage_max_pu[instant]),
        float(flow.unbalance_max[instant]),
    )


class Feeders:
    """Sites in their order along feeders of at most 60; powers of their devices become flows."""

    def __init__(self, sites: Sequence[SiteSettings], settings: FeederSettings) -> None:
        self.networks = _networks(sites, settings)
        self.segments = [_segment(each) for each in self.networks]
        self.of_site = np.repeat(np.arange(len(self.networks)), [len(each.sites) for each in self.networks])
        self.compensators = _compensators(self.networks, settings)
        self.networks = [_with_compensators(each, self.compensators) for each in self.networks]
        register = {site.id: _three_phase_w(site) for site in sites}
        self.networks = [
            replace(each, site_three_phase_w=np.array([register[site] for site in each.sites]))
            for each in self.networks
        ]
        self._compensation_va = np.zeros((len(self.compensators), 3), dtype=np.complex128)
        self.revision = 0
        """Counts the changes of what D-STATCOMs draw and are told."""
        self.events = tuple(sorted(settings.events, key=lambda each: (each.time_s, each.event_id)))
        self._built = tuple(self.networks)
        for network in self._built:
            after_events(network, self.events)  # what cannot happen is found before the first step
        self._happened = 0
        self._share = _phase_shares(sites, np.concatenate([each.site_phase for each in self.networks]))
        self._reactive = np.array([REACTIVE_SHARE[name] for name in DEVICES])
        self._flow = PowerFlow(self.networks)
        self._wires = [FourWire(each) for each in self.networks] if settings.four_wires else None

    def index(self, segment_id: str) -> int:
        """Return the position of a segment.

        Raises: InvalidInput when there is no such segment.
        """
        for position, segment in enumerate(self.segments):
            if segment.segment_id == segment_id:
                return position
        names = ", ".join(each.segment_id for each in self.segments[:10])
        raise InvalidInput(problem("segment_id", segment_id, f"one of {names}"))

    def happen(self, before_s: int) -> None:
        """Change the networks by all events before a time."""
        happened = sum(event.time_s < before_s for event in self.events)
        if happened > self._happened:
            self._happened = happened
            self.networks = [after_events(each, self.events[:happened]) for each in self._built]
            self._flow = PowerFlow(self.networks)
            self.revision += 1

    def compensate(self, position: int, drawn_va: NDArray[np.complex128]) -> None:
        """Let a D-STATCOM draw powers (3,) in VA from now on."""
        if not np.array_equal(self._compensation_va[position], drawn_va):
            self._compensation_va[position] = drawn_va
            self.revision += 1

    def drawn_va(self, device_w: Array) -> NDArray[np.complex128]:
        """Return what sites draw from each phase, (sites, 3) VA, by device powers (devices, sites) in W."""
        power = np.einsum("dn,dnp->np", device_w, self._share)
        reactive = np.einsum("dn,dnp->np", device_w * self._reactive[:, None], self._share)
        return np.asarray(power + 1j * reactive)

    def solve(self, device_w: Array) -> list[FlowResult]:
        """Return the flow of every feeder for one instant of device powers (devices, sites) in W."""
        sites, units = self.drawn_va(device_w)[None], self._compensation_va[None]
        return self._flow.solve(sites.real, sites.imag, units.real, units.imag)

    def neutrals(self, device_w: Array, flows: Sequence[FlowResult]) -> list[Neutral]:
        """Return the neutral of every feeder for an instant of device powers and its flows.

        Its voltage is known where the neutral is solved as a conductor of its own.
        """
        found, first = [], 0
        sites_va = self.drawn_va(device_w) if self._wires else None
        for index, (network, flow) in enumerate(zip(self.networks, flows, strict=True)):
            units_va = self._compensation_va[first : (first := first + len(network.compensator_nodes))]
            if self._wires is None or sites_va is None:
                found.append(implied(flow, network.compensator_nodes, units_va))
            else:
                found.append(conducted(self._wires[index], sites_va[self.of_site == index], units_va))
        return found


def _networks(sites: Sequence[SiteSettings], settings: FeederSettings) -> list[Network]:
    known = None if settings.network == STREET else feeder_named(settings.network)
    return [
        _network(f"segment-{number:03d}", sites[first : first + settings.sites_max], settings, known)
        for number, first in enumerate(range(0, len(sites), settings.sites_max), 1)
    ]


def _network(
    segment_id: str, members: Sequence[SiteSettings], settings: FeederSettings, known: Network | None
) -> Network:
    names, phases = [each.id for each in members], [each.phases or "" for each in members]
    if known is not None:
        return connect_sites(known, segment_id, names, phases, [each.node or "" for each in members])
    return radial_feeder(
        segment_id,
        names,
        phases=phases,
        transformer_va=settings.transformer_va or None,
        source_pu=settings.source_pu,
        joint_spacing_m=settings.joint_spacing_m,
    )


def _compensators(networks: Sequence[Network], settings: FeederSettings) -> list[CompensatorSettings]:
    """Return the D-STATCOMs in the order of their feeders."""
    if settings.compensators is None:
        return [CompensatorSettings(segment_id=each.segment_id) for each in networks]
    return [unit for each in networks for unit in settings.compensators if unit.segment_id == each.segment_id]


def _with_compensators(network: Network, units: Sequence[CompensatorSettings]) -> Network:
    """Return a network with its D-STATCOMs where they stand."""
    (end,) = network.compensator_nodes
    nodes = [
        joint_of(network, unit.site) if unit.site else end
        for unit in units
        if unit.segment_id == network.segment_id
    ]
    return replace(network, compensator_nodes=tuple(nodes))


def _segment(network: Network) -> GridSegment:
    return GridSegment(
        segment_id=network.segment_id,
        transformer_id=f"{network.segment_id}-transformer",
        rated_va=network.transformer.rated_va,
        nodes=list(network.nodes),
        players=list(network.sites),
    )


def _phase_shares(sites: Sequence[SiteSettings], site_phase: NDArray[np.int64]) -> Array:
    """Return (devices, sites, 3): small equipment on the site's own phase, large on all three."""
    own = own_phase(site_phase)
    share = np.full((len(DEVICES), len(sites), 3), 1 / 3)
    share[DEVICES.index("base")] = own
    for index, site in enumerate(sites):
        for name, power_w in _rated_w(site).items():
            if power_w <= SINGLE_PHASE_MOST_W:
                share[DEVICES.index(name), index] = own[index]
    return share


def is_single_phase(site: SiteSettings) -> bool:
    """Tell whether a site is said to have one phase, and has no equipment that takes all three."""
    small = max(_rated_w(site).values()) <= SINGLE_PHASE_MOST_W
    return small and site.phases not in (None, Phases.THREE)


def _three_phase_w(site: SiteSettings) -> tuple[float, float]:
    """Return what a site's three-phase equipment draws at least (it feeds in) and at most."""
    large = {name: power_w for name, power_w in _rated_w(site).items() if power_w > SINGLE_PHASE_MOST_W}
    feeding = {"pv", "battery", "ev"} if site.ev and site.ev.v2g else {"pv", "battery"}
    least_w = -sum((power_w for name, power_w in large.items() if name in feeding), 0.0)
    return least_w, sum((power_w for name, power_w in large.items() if name != "pv"), 0.0)


def _rated_w(site: SiteSettings) -> dict[str, float]:
    """Return the rated power of each device of a site."""
    return {
        "pv": site.pv.kwp * 1000 if site.pv else 0,
        "battery": site.battery.power_w if site.battery else 0,
        "ev": site.ev.charger_w if site.ev else 0,
        "heat_pump": site.heat_pump.power_w if site.heat_pump else 0,
        "dhw": site.hot_water.power_w if site.hot_water else 0,
        "lighting": site.lighting.power_w if site.lighting else 0,
    }
