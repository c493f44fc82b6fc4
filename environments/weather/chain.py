"""Several weather providers as one: the first that answers."""

from collections import Counter
from collections.abc import Sequence

import structlog

from behaviours.ports import WeatherService
from environments.weather.open_meteo import OpenMeteo
from ontology.errors import ParityError, Unavailable
from ontology.weather import WeatherForecast

__all__ = ["WeatherChain"]

log = structlog.get_logger()


class WeatherChain:
    """The `WeatherService` port over providers in the order in which they are asked."""

    def __init__(self, providers: Sequence[tuple[str, WeatherService]]) -> None:
        """Ask providers, each with a name for logs and counts."""
        self._providers = tuple(providers)
        self.counts: Counter[str] = Counter()

    async def forecast(self, zone: str) -> WeatherForecast:
        """Return the forecast of the first provider that has one; it says which that was.

        Raises: Unavailable when none has, naming what each of them said.
        """
        reasons = []
        for name, provider in self._providers:
            try:
                found = await provider.forecast(zone)
            except ParityError as error:
                reasons.append(f"{name}: {error}")
                self.counts[f"{name} unavailable"] += 1
                log.warning("weather provider does not answer", provider=name, why=str(error))
                continue
            self.counts[name] += 1
            return found
        raise Unavailable("; ".join(reasons) or "no weather provider is named")

    async def close(self) -> None:
        """Let go of the providers' connections."""
        for _, provider in self._providers:
            if isinstance(provider, OpenMeteo):
                await provider.close()
