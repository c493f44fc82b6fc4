"""Random violations on the built-in networks, and random means to remove them."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.active_network import (
    Compensation,
    Lever,
    Limits,
    OperatingPoint,
    Stage,
    one_site,
)
from behaviours.decisions.active_network.optimal_flow import excess_of
from behaviours.decisions.active_network.phasors import FeederPhasors
from behaviours.decisions.dstatcom.rating import rating_of
from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.power_flow import own_phase
from environments.networks import FEEDERS, feeder_named, load_cases
from ontology.errors import Failed

__all__ = ["Case", "random_case"]

LIMITS = Limits()
STREETS = (4, 12, 20, 33, 60)
NETWORKS = (*FEEDERS, *(f"street-{n}" for n in STREETS))
POWER_FACTOR_TAN = 0.3


@dataclass(frozen=True)
class Case:
    """A feeder in violation of its limits, and what may be done about it."""

    name: str
    network: Network
    point: OperatingPoint
    limits: Limits
    compensation: tuple[Compensation, ...]
    levers: tuple[Lever, ...]


@cache
def _feeder(name: str) -> Network:
    return feeder_named(name) if name in FEEDERS else load_cases(name)[0].network


def random_case(seed: int) -> Case:
    """Draw a network, loads or sun that are a little too much for it, and means of all kinds."""
    rng = np.random.default_rng([20_261, seed])
    name = str(rng.choice(NETWORKS))
    network = _feeder(name)
    units = int(rng.integers(0, 3))
    nodes = tuple(int(each) for each in rng.integers(1, len(network.nodes), units))
    network = replace(network, compensator_nodes=nodes)
    sunny = bool(rng.random() < 0.35)
    power_w, reactive_var = _too_much(network, sunny, rng)
    point = OperatingPoint(power_w, reactive_var, np.zeros((units, 3), dtype=np.complex128))
    ratings = [rating_of(float(rng.uniform(10, 60)) * 1000) for _ in range(units)]
    compensation = tuple(Compensation(k, rating) for k, rating in enumerate(ratings))
    return Case(name, network, point, LIMITS, compensation, tuple(_levers(network, power_w, rng)))


def _too_much(
    network: Network, sunny: bool, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return loads (sites, 3) that exceed what the network bears by 2 to 30 %."""
    sites = len(network.sites)
    shares = own_phase(network.site_phase)
    load_w = (rng.gamma(1.5, 1.0, sites) + 0.05)[:, None] * shares
    giving = rng.random(sites) < rng.uniform(0.4, 0.9)
    sun_w = np.where(giving, rng.uniform(2, 6, sites), 0.0)[:, None] * shares
    shape_w = 0.3 * load_w - sun_w if sunny and giving.any() else load_w
    reactive = POWER_FACTOR_TAN * np.maximum(shape_w, 0.0)
    model = FeederPhasors(replace(network, compensator_nodes=()))
    bears_w = _most(model, shape_w + 1j * reactive)
    scale = bears_w * rng.uniform(1.02, 1.30)
    return shape_w * scale, reactive * scale


def _most(model: FeederPhasors, shape: NDArray[np.complex128]) -> float:
    """Return by what factor a load may be multiplied until a limit is reached."""

    def is_kept(scale: float) -> bool:
        try:
            state = model.solve(shape.reshape(-1) * scale)
        except Failed:
            return False
        return excess_of(model, state, LIMITS).worst <= 0

    low, high = 0.0, 1.0
    while is_kept(high) and high < 1e7:
        low, high = high, 2 * high
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if is_kept(middle) else (low, middle)
    return low


def _levers(network: Network, power_w: NDArray[np.float64], rng: np.random.Generator) -> list[Lever]:
    net_w, shares = power_w.sum(axis=1), own_phase(network.site_phase)
    sites = len(net_w)
    usual_w = float(np.abs(net_w).mean())

    def chosen(most: int) -> list[int]:
        count = int(rng.integers(0, min(most, sites) + 1))
        return [int(each) for each in rng.choice(sites, count, replace=False)]

    levers = [_battery(i, sites, shares[i], usual_w, rng) for i in chosen(4)]
    levers += [_plant(i, sites, shares[i], net_w[i], rng) for i in chosen(4) if net_w[i] < 0]
    for stage, most, low, high in ((Stage.FLEXIBILITY, 8, 0.2, 0.5), (Stage.DIRECT_CONTROL, 12, 1.0, 2.0)):
        for i in chosen(most):
            reach_w = float(rng.uniform(0.3, 1.0)) * net_w[i]
            levers.append(
                Lever(
                    f"{stage.name.lower()} {network.sites[i]}",
                    stage,
                    one_site(sites, i, shares[i]),
                    min(0.0, -reach_w),
                    max(0.0, -reach_w),
                    float(rng.uniform(low, high)),
                    reactive_share=POWER_FACTOR_TAN if reach_w > 0 else 0.0,
                )
            )
    return levers


def _battery(
    site: int, sites: int, shares: NDArray[np.float64], usual_w: float, rng: np.random.Generator
) -> Lever:
    most_w = float(rng.uniform(0.5, 3.0)) * usual_w
    return Lever(
        f"battery {site}",
        Stage.OWN_ASSETS,
        one_site(sites, site, shares),
        -most_w,
        most_w,
        float(rng.uniform(0.03, 0.12)),
        reactive_max_var=most_w,
        rated_va=most_w,
    )


def _plant(
    site: int, sites: int, shares: NDArray[np.float64], net_w: float, rng: np.random.Generator
) -> Lever:
    rated_va = abs(net_w) * float(rng.uniform(1.05, 1.5))
    return Lever(
        f"plant {site}",
        Stage.OWN_ASSETS,
        one_site(sites, site, shares),
        0.0,
        abs(net_w),
        float(rng.uniform(0.08, 0.15)),
        reactive_max_var=0.44 * rated_va,
        rated_va=rated_va,
        power_w=net_w,
    )
