"""Who foresees the weather of a run: the simulated world, or the providers that a scenario names."""

from collections.abc import Iterator
from pathlib import Path

from behaviours.ports import Barrier, Clock, WeatherService
from environments.simulation.world import World
from environments.weather import OpenMeteo, ReferenceWeather, WeatherChain, WeatherFile
from environments.weather.file import read_weather
from environments.wire.addresses import bearer_token, place_of, trust_in
from environments.wire.http_link import Service
from launch.schema import Scenario, WeatherProvider
from ontology.errors import InvalidInput
from ontology.weather import WeatherForecast

__all__ = ["WorldWeather", "weather_of", "weather_problems"]


class WorldWeather:
    """The weather service of a simulated world."""

    def __init__(self, world: World) -> None:
        """Forecast the weather of a world."""
        self._world = world

    async def forecast(self, zone: str) -> WeatherForecast:
        """Return the present forecast."""
        return self._world.weather.forecast(self._world.now_s)


def weather_of(
    scenario: Scenario, world: World, clock: Clock, network: Clock, barrier: Barrier | None = None
) -> WeatherService:
    """Return the weather service of a live run.

    Args:
        scenario: names the providers; without any the world foresees its own weather.
        world: where it is.
        clock: the run's time.
        network: the machine's time.
        barrier: stands while a provider is waited for.

    Raises: InvalidInput when a secret or certificate cannot be read.
    """
    providers = scenario.weather.providers
    if not providers:
        return WorldWeather(world)
    return WeatherChain(
        [(name_of(provider), _provider(provider, world, clock, network, barrier)) for provider in providers]
    )


def name_of(provider: WeatherProvider) -> str:
    """Return what a provider is called."""
    return provider.name or provider.kind


def _provider(
    provider: WeatherProvider, world: World, clock: Clock, network: Clock, barrier: Barrier | None
) -> WeatherService:
    weather, name = world.weather, name_of(provider)
    if provider.kind == "file":
        return WeatherFile(Path(provider.file or ""), weather.zone, clock, name=name)
    if provider.kind == "reference-year":
        return ReferenceWeather(weather, clock, name=name)
    place = place_of(provider.url, "http", "https", path="weather.providers.url")
    service = Service(
        place,
        bearer_token(Path(provider.token_file)) if provider.token_file else "",
        trust_in(Path(provider.ca_file)) if provider.ca_file else None,
    )
    at = (weather.latitude, weather.longitude)
    return OpenMeteo(service, weather.zone, at, clock, network, name=name, barrier=barrier)


def weather_problems(scenario: Scenario) -> Iterator[tuple[str, object, str]]:
    """Yield what is wrong with the providers of a scenario: path, value, and what would be right."""
    for number, provider in enumerate(scenario.weather.providers):
        path = f"weather.providers[{number}]"
        try:
            if provider.kind == "open-meteo":
                place_of(provider.url, "http", "https", path="url")
            if provider.token_file:
                bearer_token(Path(provider.token_file))
            if provider.kind == "file":
                read_weather(Path(provider.file or ""))
        except InvalidInput as error:
            for each in error.problems:
                field = {"url": "url"}.get(each.path, "token_file" if provider.token_file else "file")
                yield f"{path}.{field}", each.value, f"must be {each.expected}"
