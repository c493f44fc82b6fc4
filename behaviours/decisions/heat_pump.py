"""How much heat a heat pump makes of its electricity, by outdoor temperature."""

import numpy as np
import numpy.typing as npt

from behaviours.decisions.series import FloatArray
from ontology.storage import ThermalModel

__all__ = ["cop_at"]


def cop_at(model: ThermalModel, outdoor_degc: npt.ArrayLike) -> FloatArray:
    """Return heat per electricity at outdoor temperatures, from the points that the data sheet gives.

    Between the points it is linear, beyond them the last one holds; a model without points has one COP.

    Source: points as in EN 14511 (A-7/W35, A2/W35, A7/W35).
    """
    outdoor = np.asarray(outdoor_degc, dtype=np.float64)
    if not model.cop_outdoor_degc:
        return np.full(outdoor.shape, model.cop)
    found: FloatArray = np.interp(outdoor, model.cop_outdoor_degc, model.cop_points)
    return found
