"""No weather provider answers (D8.1 3.2.6): forecasts are made all the same, and say on what."""

import asyncio
import sys
from pathlib import Path

import pytest

from launch.live import LiveCommunity
from launch.scenario import parse_scenario
from launch.weather import WorldWeather
from ontology.errors import InvalidInput, Unavailable
from ontology.measurements import Quality

sys.path.append(str(Path(__file__).parents[1] / "environments" / "weather"))

from weather_server import answer, running

LABORATORY = Path("launch/scenarios/laboratory.yaml")


def kept(model, entity, subject):
    repository = model.community.ground.repository
    found = []

    async def look():
        found.extend(await repository.query(entity, subject, 0, 2**40))

    loop = asyncio.new_event_loop()
    loop.run_until_complete(look())
    loop.close()
    return found


def test_with_all_providers_down_plants_are_forecast_on_the_last_weather_and_flagged(community, monkeypatch):
    asked = []
    honest = WorldWeather.forecast

    async def down(self, zone):
        asked.append(zone)
        if len(asked) > 2:
            raise Unavailable("all providers are down")
        return await honest(self, zone)

    monkeypatch.setattr(WorldWeather, "forecast", down)
    model = community(sites=2, intervals=16, population__shares__pv=1.0)
    model.run()
    weather = kept(model, "parity:WeatherForecast", "")
    assert len(weather) >= 3
    assert [each.quality for each in weather] == [Quality.VALID] + [Quality.SUBSTITUTED] * (len(weather) - 1)
    assert len({each.issued_at_s for each in weather}) == 1, "everybody sees how old it is"
    forecasts = kept(model, "parity:Forecast", "p001-pv")
    assert {each.quality for each in forecasts[-2:]} == {Quality.SUBSTITUTED}
    assert max(forecasts[-1].power_w, key=abs) != 0
    assert model.community.counts()["weather unavailable"] == len(asked) - 2 >= 3


def live_scenario(url, start):
    return parse_scenario(
        f"""
        name: weather
        start: {start}
        zone: UTC
        intervals: 6
        sites: [{{id: h001, pv: {{kwp: 5}}}}]
        weather:
          providers:
            - {{kind: open-meteo, url: "{url}", name: service}}
            - {{kind: reference-year, name: usual}}
        """
    )


@pytest.mark.parametrize(
    ("failures", "provider", "quality"),
    [
        (0, "service", Quality.VALID),
        pytest.param(1_000, "usual", Quality.ESTIMATED, marks=pytest.mark.slow),
    ],
)
def test_a_live_run_asks_the_providers_of_its_scenario(monkeypatch, failures, provider, quality):
    async def story():
        async with running() as (server, url):
            scenario = live_scenario(url, "2025-06-15T10:00")
            server.content, server.failures = answer(1_749_981_600), failures
            async with LiveCommunity(scenario) as live:
                for _ in range(2):
                    await live.step()
                await live.step()
                for _ in range(300):
                    found = await live._repository.query("parity:WeatherForecast", "", 0, 2**40)
                    if found:
                        break
                    await asyncio.sleep(0.1)  # noqa: TID251 - a real service is tried over
                return found[0], server.asked

    found, asked = asyncio.run(story())
    assert (found.provider, found.quality) == (provider, quality)
    assert len(asked) >= (4 if failures else 1)


def test_providers_are_for_live_runs(community):
    with pytest.raises(InvalidInput, match="live run"):
        community(sites=1, intervals=1, weather={"providers": [{"kind": "reference-year"}]}).step()


def test_what_is_wrong_with_providers_is_named_at_once(tmp_path):
    (tmp_path / "open").write_text("a token that everybody may read")
    (tmp_path / "open").chmod(0o644)
    text = f"""
        start: 2025-06-15
        zone: UTC
        sites: [{{id: h001}}]
        weather:
          providers:
            - {{kind: open-meteo}}
            - {{kind: open-meteo, url: "http://weather.example.org"}}
            - {{kind: open-meteo, url: "https://weather.example.org", token_file: {tmp_path}/open}}
            - {{kind: file, file: {tmp_path}/none.csv}}
        """
    with pytest.raises(InvalidInput) as caught:
        parse_scenario(text)
    assert [each.path for each in caught.value.problems] == [
        "weather.providers[0].url",
        "weather.providers[1].url",
        "weather.providers[2].token_file",
        "weather.providers[3].file",
    ]
