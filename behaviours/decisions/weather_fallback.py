"""The last weather forecast, carried on while no provider answers (D8.1 3.2.6)."""

import msgspec
import numpy as np

from ontology.measurements import Quality
from ontology.weather import WeatherForecast

__all__ = ["carried_on"]

DAY_S = 86_400
STEPS = 96
SERIES = ("outdoor_degc", "ghi_w_per_m2", "dni_w_per_m2", "dhi_w_per_m2", "wind_m_per_s")


def carried_on(last: WeatherForecast, now_s: int) -> WeatherForecast:
    """Return the last forecast as one from now on, flagged SUBSTITUTED: a day ahead, at the same step.

    What it foresaw stands; beyond its end each step is as at the same time of the last day that it foresaw.
    When it was issued is kept, so that everybody sees how old it is.
    """
    step_s = last.step_s
    steps_a_day = max(1, DAY_S // step_s)
    start_s = last.start_s + (now_s - last.start_s) // step_s * step_s
    known = len(last.outdoor_degc)
    wanted = (start_s - last.start_s) // step_s + np.arange(min(STEPS * 900 // step_s, 200))
    beyond = np.maximum(0, -(-(wanted - known + 1) // steps_a_day))
    index = np.clip(wanted - beyond * steps_a_day, 0, known - 1)
    series = {name: np.asarray(values)[index].tolist() for name in SERIES if (values := getattr(last, name))}
    return msgspec.structs.replace(last, start_s=max(0, start_s), quality=Quality.SUBSTITUTED, **series)
