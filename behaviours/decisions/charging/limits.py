"""What others ask of a charging site: limits of its power for a while, the one of higher priority holding."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from behaviours.decisions.series import FloatArray, IntArray
from ontology.control import Priority

__all__ = ["SiteRequest", "bounds_w"]


class SiteRequest(NamedTuple):
    """From when to when (epoch seconds) the site shall draw at least or at most so many W."""

    request_id: str
    start_s: int
    end_s: int
    power_min_w: int | None
    power_max_w: int | None
    priority: Priority


def bounds_w(
    starts_s: IntArray, power_max_w: float, requests: Sequence[SiteRequest]
) -> tuple[FloatArray, FloatArray | None]:
    """Return what a site may draw at most, and shall draw at least, by step.

    The connection's limit holds always. Of requests that overlap each limit holds, and what is asked for at
    least gives way to them; a step that a request touches obeys it from beginning to end.

    Args:
        starts_s: bounds of the steps.
        power_max_w: limit of the connection.
        requests: what was asked for; only the highest priority at a time may ask for more.
    """
    most = np.full(len(starts_s) - 1, float(power_max_w))
    least = np.zeros(len(most))
    for request in sorted(requests, key=lambda each: each.priority):
        touched = (starts_s[:-1] < request.end_s) & (starts_s[1:] > request.start_s)
        if request.power_max_w is not None:
            most[touched] = np.minimum(most[touched], float(request.power_max_w))
        if request.power_min_w is not None:
            least[touched] = np.maximum(0.0, float(request.power_min_w))
    least = np.minimum(least, most)
    return most, least if least.any() else None
