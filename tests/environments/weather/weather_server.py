"""A real HTTP server that foresees the weather in Open-Meteo's form, and fails when it is told to."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np
from aiohttp import web

NOW_S = 1_750_000_500
"""The start of an interval, 15:15 UTC."""


def answer(now_s=NOW_S, *, step_s=900, block="minutely_15", days=3):
    """Return what the interface answers: temperature rising by the hour, radiation by the sun's hours."""
    first_s = now_s // 86_400 * 86_400
    times = first_s + step_s * np.arange(days * 86_400 // step_s)
    hour = times % 86_400 / 3_600
    sun = np.maximum(0, np.sin((hour - 6) / 12 * np.pi)) * 800
    return {
        "latitude": 46.0,
        "longitude": 9.0,
        block: {
            "time": times.tolist(),
            "temperature_2m": (10 + (times - first_s) / 7_200).tolist(),
            "wind_speed_10m": [3.0] * len(times),
            "shortwave_radiation": sun.tolist(),
            "direct_normal_irradiance": (sun * 0.6).tolist(),
            "diffuse_radiation": (sun * 0.4).tolist(),
        },
    }


class WeatherServer:
    """What it answers, how it fails, and what it was asked."""

    def __init__(self):
        self.content = answer()
        self.failures = 0
        self.delay_s = 0.0
        self.status = 503
        self.asked = []

    async def respond(self, request):
        self.asked.append(dict(request.query))
        if self.delay_s:
            await asyncio.sleep(self.delay_s)  # noqa: TID251 - a slow server takes real time
        if self.failures > 0:
            self.failures -= 1
            return web.json_response({"error": True}, status=self.status)
        return web.json_response(self.content)


@asynccontextmanager
async def running():
    """Start a server on a free port of loopback; yield it and its address."""
    server = WeatherServer()
    app = web.Application()
    app.router.add_get("/v1/forecast", server.respond)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield server, f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()
