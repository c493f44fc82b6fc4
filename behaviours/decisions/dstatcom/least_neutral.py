"""The least neutral current that a four-leg converter can leave of a load, with active and reactive power."""

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.dstatcom.rating import PHASES, Complex, Rating, limited

__all__ = ["least_neutral_va"]

Array = NDArray[np.float64]

NEGATIVE_WEIGHT = 0.1
"""What a squared ampere of negative sequence counts beside one of the neutral: unbalance must not grow."""
EFFORT_WEIGHT = 1e-3
"""Of the squared leg currents: among equal results the one that loads the converter least."""
NEGATIVE = np.exp(-2j * np.pi / PHASES * np.arange(PHASES)) / PHASES


def least_neutral_va(load_va: Complex, voltage_v: Complex, rating: Rating) -> Complex:
    """Return the powers (3,) that leave the least neutral current where the load is measured.

    A small convex programme in the six powers: legs on discs, the neutral leg on one, active power with
    sum 0. Reactive power joins in where active power alone finds its legs full.

    Args:
        load_va: power of each phase without the unit.
        voltage_v: phasors there.
        rating: what the unit can carry.
    """
    from scipy.optimize import minimize

    leg_va, leg_a = rating.leg_va, rating.leg_va / float(np.mean(np.abs(voltage_v)))
    # currents in units of a leg's, linear in x = (p, q) in units of a leg's power
    per_va = 1 / np.conj(voltage_v)
    current: Complex = np.asarray(np.concatenate([per_va, -1j * per_va]) * leg_va / leg_a, np.complex128)
    load = np.conj(load_va / voltage_v) / leg_a
    weighted = [
        (current, complex(load.sum()), 1.0),
        (np.tile(NEGATIVE * PHASES, 2) * current, complex((NEGATIVE * PHASES * load).sum()), NEGATIVE_WEIGHT),
    ]

    def cost(x: Array) -> tuple[float, Array]:
        value, slope = EFFORT_WEIGHT * float(x @ x), 2 * EFFORT_WEIGHT * x
        for row, fixed, weight in weighted:
            left = fixed + complex(row @ x)
            value += weight * abs(left) ** 2
            slope = slope + 2 * weight * np.real(np.conj(left) * row)
        return value, slope

    found = minimize(
        cost,
        np.zeros(2 * PHASES),
        jac=True,
        method="SLSQP",
        constraints=_constraints(current, rating.neutral_a / leg_a),
        options={"ftol": 1e-8, "maxiter": 100},
    )
    return limited(rating, leg_va * (found.x[:PHASES] + 1j * found.x[PHASES:]), voltage_v)


def _constraints(current: Complex, neutral: float) -> list[dict[str, object]]:
    """Return that active power sums to 0, and the discs of the three legs and the neutral one."""
    sums = np.repeat([1.0, 0.0], PHASES)
    legs = np.tile(np.eye(PHASES), 2)

    def room(x: Array) -> Array:
        return np.append(1 - legs @ x**2, neutral**2 - abs(complex(current @ x)) ** 2)

    def slope(x: Array) -> Array:
        through = np.real(np.conj(complex(current @ x)) * current)
        result: Array = -2 * np.vstack([legs * x, through])
        return result

    return [
        {"type": "eq", "fun": lambda x: np.array([sums @ x]), "jac": lambda _: sums[None, :]},
        {"type": "ineq", "fun": room, "jac": slope},
    ]
