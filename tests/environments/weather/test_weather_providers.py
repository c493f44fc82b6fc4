"""Providers of weather over real HTTP and from files: forecasts, retries, fallback."""

import asyncio
import json
from pathlib import Path

import pytest
from weather_server import NOW_S, answer, running

from environments.simulation.clock import WallClock
from environments.simulation.world.weather import Weather
from environments.weather import OpenMeteo, ReferenceWeather, WeatherChain, WeatherFile
from environments.weather.open_meteo import forecast_in
from environments.wire.addresses import place_of
from environments.wire.http_link import Service
from environments.wire.pauses import Pauses
from ontology.errors import InvalidInput, Unavailable
from ontology.measurements import Quality

SOON = Pauses(first_s=0.02, factor=2, longest_s=0.1)


class At:
    """A clock that stands."""

    def now_s(self):
        return NOW_S + 100


def provider(url, timeout_s=5.0):
    service = Service(place_of(url, "http"))
    return OpenMeteo(service, "TI", (46.0, 9.0), At(), WallClock(), timeout_s=timeout_s, pauses=SOON)


async def forecast(arrange=lambda server: None, **terms):
    async with running() as (server, url):
        arrange(server)
        weather = provider(url, **terms)
        try:
            return server, await weather.forecast("")
        finally:
            await weather.close()


def test_a_day_ahead_by_the_quarter_hour():
    server, found = asyncio.run(forecast())
    assert (found.zone, found.provider, found.quality) == ("TI", "open-meteo", Quality.VALID)
    assert (found.start_s, len(found.outdoor_degc)) == (NOW_S, 96)
    hours = (NOW_S % 86_400) / 3_600
    assert found.outdoor_degc[0] == pytest.approx(10 + (hours + 0.125) / 2, abs=0.01)
    assert server.asked[0]["latitude"] == "46.0000"


def test_radiation_is_the_mean_of_the_time_before_each_instant():
    content = answer()
    found = forecast_in(content, "z", NOW_S, "p")
    times = content["minutely_15"]["time"]
    at_end = content["minutely_15"]["shortwave_radiation"][times.index(NOW_S + 900)]
    assert found.ghi_w_per_m2[0] == pytest.approx(at_end, abs=0.01)


def test_hours_do_where_there_are_no_quarter_hours():
    found = forecast_in(answer(step_s=3_600, block="hourly"), "z", NOW_S, "p")
    assert len(found.ghi_w_per_m2) == 96
    assert len({*found.ghi_w_per_m2[3:7]}) == 1, "the mean of an hour is that of its quarters"


def test_three_failures_are_tried_over_and_a_fourth_is_final():
    server, _ = asyncio.run(forecast(lambda server: setattr(server, "failures", 3)))
    assert len(server.asked) == 4
    with pytest.raises(Unavailable):
        asyncio.run(forecast(lambda server: setattr(server, "failures", 4)))


def test_a_slow_answer_is_none():
    with pytest.raises(Unavailable):
        asyncio.run(forecast(lambda server: setattr(server, "delay_s", 0.4), timeout_s=0.05))


def spoilt(**changes):
    content = json.loads(json.dumps(answer()))
    content["minutely_15"].update(changes)
    return content


@pytest.mark.parametrize(
    ("content", "paths"),
    [
        ([], [""]),
        ({"error": True}, [""]),
        (spoilt(temperature_2m=None, wind_speed_10m=["calm"]), ["temperature_2m", "wind_speed_10m"]),
        (spoilt(diffuse_radiation=[-5.0] * 288), ["diffuse_radiation"]),
        (spoilt(shortwave_radiation=[0.0] * 5), ["shortwave_radiation"]),
        (answer(NOW_S + 86_400), ["time"]),
        (answer(NOW_S - 2 * 86_400), ["time"]),
    ],
    ids=["list", "error", "no-numbers", "negative", "short", "of-tomorrow", "of-old"],
)
def test_what_is_no_forecast_is_named_and_counts_as_no_answer(content, paths):
    with pytest.raises(InvalidInput) as caught:
        forecast_in(content, "z", NOW_S, "p")
    assert [each.path.rpartition(".")[2] for each in caught.value.problems] == paths
    with pytest.raises(Unavailable):
        asyncio.run(forecast(lambda server: setattr(server, "content", content)))


HEADER = "time,outdoor_degc,ghi_w_per_m2,dni_w_per_m2,dhi_w_per_m2,wind_m_per_s"


def written(path, rows):
    path.write_text("\n".join([HEADER, *rows]))
    return WeatherFile(path, "TI", At())


def hours(count, start="2025-06-15T15:00"):
    return [
        f"2025-06-{15 + (15 + i) // 24:02d}T{(15 + i) % 24:02d}:00+00:00,{i},0,0,0,1" for i in range(count)
    ]


def test_a_file_foresees_what_stands_in_it(tmp_path):
    found = asyncio.run(written(tmp_path / "w.csv", hours(30)).forecast(""))
    assert found.step_s == 3_600
    assert found.outdoor_degc[:3] == [0, 1, 2]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "header"),
        (["yesterday,1,2,3,4,5"], "time"),
        ([*hours(3)[:1], "2025-06-15T16:00+00:00,warm,-1,0,0,1"], "outdoor_degc.*ghi"),
        (hours(3)[:1] + hours(5)[3:4] + hours(5)[4:5], "equal steps"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, rows, said):
    with pytest.raises(Unavailable, match=said):
        asyncio.run(written(tmp_path / "w.csv", rows).forecast(""))


def test_the_first_provider_that_answers_is_heard_and_the_last_resort_is_flagged(tmp_path):
    async def story():
        async with running() as (server, url):
            server.failures = 4
            service = provider(url)
            chain = WeatherChain(
                [
                    ("service", service),
                    ("file", WeatherFile(tmp_path / "none.csv", "TI", At())),
                    ("usual", ReferenceWeather(Weather(4, 1), At(), name="usual")),
                ]
            )
            first = await chain.forecast("")
            server.failures = 0
            second = await chain.forecast("")
            await service.close()
            return first, second, chain.counts

    first, second, counts = asyncio.run(story())
    assert (first.provider, first.quality) == ("usual", Quality.ESTIMATED)
    assert (second.provider, second.quality) == ("open-meteo", Quality.VALID)
    assert counts["service unavailable"] == counts["file unavailable"] == 1


def test_when_nobody_answers_all_reasons_are_named():
    with pytest.raises(Unavailable, match=r"none\.csv"):
        asyncio.run(WeatherChain([("file", WeatherFile(Path("none.csv"), "z", At()))]).forecast(""))
