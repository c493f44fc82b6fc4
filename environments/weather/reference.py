"""Weather of a reference year: what is usual at this time of the year, for when nobody knows better."""

import msgspec

from behaviours.ports import Clock
from environments.simulation.world.weather import Weather
from ontology.measurements import Quality
from ontology.weather import WeatherForecast

__all__ = ["ReferenceWeather"]


class ReferenceWeather:
    """The `WeatherService` port on a test reference year; its forecasts are flagged ESTIMATED.

    Args:
        weather: the year, placed under the sun.
        clock: the time that a forecast is wanted for.
    """

    def __init__(self, weather: Weather, clock: Clock, *, name: str = "reference-year") -> None:
        self._weather, self._clock, self._name = weather, clock, name

    async def forecast(self, zone: str) -> WeatherForecast:
        """Return what the year has for the day from now on."""
        found = self._weather.forecast(int(self._clock.now_s()))
        return msgspec.structs.replace(
            found, zone=zone or found.zone, provider=self._name, quality=Quality.ESTIMATED
        )
