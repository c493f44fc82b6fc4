"""Weather forecasts from outside: providers behind the `WeatherService` port, and the chain of them."""

from environments.weather.chain import WeatherChain
from environments.weather.file import WeatherFile
from environments.weather.open_meteo import OpenMeteo
from environments.weather.reference import ReferenceWeather

__all__ = ["OpenMeteo", "ReferenceWeather", "WeatherChain", "WeatherFile"]
