"""Weather by HTTP, in the JSON of Open-Meteo's forecast interface, which others serve too.

Radiation is given as the mean over the time before each instant, temperature and wind at the instant: a
step's mean is taken accordingly. Quarter-hours are used where the service has them, else hours.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from behaviours.decisions.series import FloatArray
from behaviours.ports import Barrier, Clock
from environments.wire.http_link import HttpLink, Service, held
from environments.wire.pauses import Pauses
from ontology.errors import InvalidInput, Problem, Unavailable, problem
from ontology.weather import WeatherForecast

__all__ = ["WEATHER", "OpenMeteo", "forecast_in"]

WEATHER = "weather service"
"""What a scaled clock knows the wait for a provider by."""
TIMEOUT_S = 5.0
RETRIES = 3
RETRY_PAUSES = Pauses(first_s=0.5, factor=2.0, longest_s=8.0)
STEP_S, STEPS = 900, 96

_INSTANT = {"temperature_2m": "outdoor_degc", "wind_speed_10m": "wind_m_per_s"}
_BEFORE = {
    "shortwave_radiation": "ghi_w_per_m2",
    "direct_normal_irradiance": "dni_w_per_m2",
    "diffuse_radiation": "dhi_w_per_m2",
}
_VARIABLES = ",".join((*_INSTANT, *_BEFORE))
_BOUNDS = {
    "temperature_2m": (-80.0, 60.0),
    "wind_speed_10m": (0.0, 120.0),
    "shortwave_radiation": (0.0, 1_600.0),
    "direct_normal_irradiance": (0.0, 1_600.0),
    "diffuse_radiation": (0.0, 1_600.0),
}


class OpenMeteo:
    """The `WeatherService` port on a service of that kind: 5 s a question, three more attempts."""

    def __init__(
        self,
        service: Service,
        zone: str,
        place: tuple[float, float],
        clock: Clock,
        network: Clock,
        *,
        name: str = "open-meteo",
        timeout_s: float = TIMEOUT_S,
        pauses: Pauses = RETRY_PAUSES,
        barrier: Barrier | None = None,
    ) -> None:
        """Prepare to ask.

        Args:
            service: where; the path is that of the interface, such as `v1`.
            zone: what the forecasts are about.
            place: degrees north and east.
            clock: the time that a forecast is wanted for.
            network: the machine's time.
            name: of the provider.
            timeout_s: for an answer.
            pauses: before the second attempt and those after it.
            barrier: stands while one waits, where the clock is scaled.
        """
        self._link = HttpLink(service, network, pauses=pauses, answer_s=timeout_s)
        self._zone, self._place, self._clock, self._name = zone, place, clock, name
        self._barrier = barrier

    async def forecast(self, zone: str) -> WeatherForecast:
        """Return the forecast of a day from now on.

        Raises: Unavailable when the service does not answer, or not with a forecast of that day.
        """
        content = await self._asked()
        now_s = int(self._clock.now_s())
        try:
            return forecast_in(content, zone or self._zone, now_s, self._name)
        except InvalidInput as error:
            raise Unavailable(f"not a forecast: {error}") from error

    async def close(self) -> None:
        """Let go of the connections."""
        await self._link.close()

    async def _asked(self) -> Any:
        query = {
            "latitude": f"{self._place[0]:.4f}",
            "longitude": f"{self._place[1]:.4f}",
            "minutely_15": _VARIABLES,
            "hourly": _VARIABLES,
            "wind_speed_unit": "ms",
            "timeformat": "unixtime",
            "timezone": "UTC",
            "forecast_days": "3",
        }
        for attempt in range(RETRIES + 1):
            await self._link.pause()
            try:
                async with held(self._barrier, WEATHER):
                    reply = await self._link.get("forecast", query)
            except Unavailable:
                if attempt == RETRIES:
                    raise
                continue
            if reply.status != 200:
                raise Unavailable(f"HTTP status {reply.status}")
            return reply.content
        raise AssertionError("the last attempt returns or raises")


def forecast_in(content: object, zone: str, now_s: int, name: str) -> WeatherForecast:
    """Return the forecast that an answer holds, by the quarter-hour from the present one on.

    Raises: InvalidInput with everything that is missing in it, no number, or out of its range.
    """
    if not isinstance(content, Mapping):
        raise InvalidInput(problem("", content, "a JSON object"))
    block = next((b for b in ("minutely_15", "hourly") if isinstance(content.get(b), Mapping)), "")
    if not block:
        raise InvalidInput(problem("", ", ".join(map(str, content))[:100], "minutely_15 or hourly"))
    table, problems = content[block], list[Problem]()
    times = _numbers(table, "time", block, problems)
    columns = {variable: _numbers(table, variable, block, problems) for variable in _BOUNDS}
    problems += [
        problem(f"{block}.{variable}", f"{values.size} values", f"{times.size}, one for each time")
        for variable, values in columns.items()
        if values.size not in (0, times.size)
    ]
    start_s = now_s // STEP_S * STEP_S
    if not problems and (times.size < 2 or np.any(np.diff(times) <= 0) or times[0] > start_s):
        problems.append(problem(f"{block}.time", f"from {times[:1]}", f"ascending, from {start_s} or before"))
    if not problems and times[-1] < start_s + STEPS * STEP_S:
        problems.append(problem(f"{block}.time", f"to {times[-1]:.0f}", f"to {start_s + STEPS * STEP_S}"))
    if problems:
        raise InvalidInput(problems)
    series = {name: _of_steps(times, columns[variable], start_s) for variable, name in _INSTANT.items()}
    series |= {name: _before_steps(times, columns[variable], start_s) for variable, name in _BEFORE.items()}
    return WeatherForecast(
        zone=zone,
        issued_at_s=now_s,
        start_s=start_s,
        step_s=STEP_S,
        provider=name,
        **series,  # type: ignore[arg-type]
    )


def _numbers(table: Mapping[str, Any], variable: str, block: str, problems: list[Problem]) -> FloatArray:
    """Return a column; what is wrong with it is noted."""
    path, given = f"{block}.{variable}", table.get(variable)
    try:
        values = np.asarray(given if isinstance(given, list) else [None], dtype=np.float64)
    except (TypeError, ValueError):
        values = np.array([np.nan])
    low, high = _BOUNDS.get(variable, (0.0, 1e11))
    if values.ndim != 1 or not np.all((values >= low) & (values <= high)):
        problems.append(problem(path, given, f"numbers from {low:g} to {high:g}"))
        return np.zeros(0)
    return values


def _of_steps(times: FloatArray, values: FloatArray, start_s: int) -> list[float]:
    """Return the means over steps of what is given at instants."""
    edges = start_s + STEP_S * np.arange(STEPS + 1)
    at = np.interp(edges, times, values)
    means: list[float] = ((at[1:] + at[:-1]) / 2).round(3).tolist()
    return means


def _before_steps(times: FloatArray, values: FloatArray, start_s: int) -> list[float]:
    """Return the means over steps of what is given as the mean of the time before each instant."""
    ends = start_s + STEP_S * np.arange(1, STEPS + 1)
    found: list[float] = values[np.searchsorted(times, ends)].round(3).tolist()
    return found
