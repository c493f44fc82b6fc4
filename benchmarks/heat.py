"""Heat: what is learnt of buildings, and whether comfort, hot water, compressors and promises are kept.

Seeded households in a January of the reference year, with thermometers that err by 0.1 K. Managers begin with
an installer's guess that is up to 40 % wrong. `SPEC 4.8` sets the thresholds.
"""

import time
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
import numpy as np

from behaviours.decisions.compressor import CompressorRule, CompressorState, compressor_step
from behaviours.decisions.envelopes import building_envelope
from behaviours.decisions.series import FloatArray
from behaviours.decisions.site_plan import plan_site
from behaviours.decisions.thermal_identification import HeatRecord, identified, predicted
from behaviours.site.building_learning import BuildingLearning
from behaviours.site.comfort_keeping import ComfortKeeping
from environments.simulation.world import World
from environments.simulation.world.devices import HeatPump
from launch.model import CommunityModel
from launch.scenario import Scenario, parse_scenario
from launch.world_settings import world_settings
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.flexibility import FlexEnvelope
from ontology.storage import ThermalModel, ThermalStatus

__all__ = ["rows"]

START = "2024-01-08"
HOUSES = 30
NOISE_K = 0.1
WEEK = 7 * INTERVALS_A_DAY
WITHIN = 0.15
PARAMETERS = ("resistance_k_per_w", "capacity_j_per_k", "solar_aperture_m2", "internal_gain_w")
ACTIVATIONS = 200
MINUTES = 15


class Lived(NamedTuple):
    """Weeks in the houses of a world: arrays of (steps, houses) and of steps, and the world at their end."""

    world: World
    room_degc: FloatArray
    power_w: FloatArray
    outdoor_degc: FloatArray
    ghi_w_per_m2: FloatArray


def street(start: str) -> Scenario:
    """Return a street in which every house has a heat pump and nothing else."""
    shares = "{pv: 0, battery: 0, ev: 0, heat_pump: 1, hot_water: 0}"
    text = f"start: {start}\nzone: Europe/Berlin\npopulation: {{sites: {HOUSES}, shares: {shares}}}"
    return parse_scenario(text, {})


def lived(scenario: Scenario, steps: int, *, shifted: bool) -> Lived:
    """Let time pass in the houses: thermostats left alone, or shifted by the price now and then."""
    world = World(world_settings(scenario))
    houses, count = world.buildings, len(world.settings.sites)
    rooms, powers = np.empty((steps, count)), np.empty((steps, count))
    outdoor, ghi = np.empty(steps), np.empty(steps)
    for step in range(steps):
        if shifted:
            change = np.where((7 * np.arange(count) + step // 16) % 3 == 0, 0.6, -0.4)
            houses.controls.setpoint_degc[:] = houses.set_degc + change
        world.step_interval()
        rooms[step], powers[step] = houses.room_degc, world.power_w[4]
        outdoor[step], ghi[step] = world.outdoor_degc, world.ghi_w_per_m2
    return Lived(world, rooms, powers, outdoor, ghi)


def truth_of(world: World, site: int) -> ThermalModel:
    """Return what a house is really like."""
    model = HeatPump(world, site).describe()
    assert isinstance(model, ThermalModel)
    return model


def guessed(truth: ThermalModel, draw: np.random.Generator) -> ThermalModel:
    """Return what an installer takes a house for."""
    wrong = {name: getattr(truth, name) * float(draw.uniform(0.6, 1.4)) for name in PARAMETERS}
    return msgspec.structs.replace(truth, **wrong)


def measured(life: Lived, site: int, start: int, end: int, draw: np.random.Generator) -> HeatRecord:
    """Return what a manager measures of some steps: a noisy thermometer, the sun as forecast by the hour."""
    sun = life.ghi_w_per_m2 * np.repeat(np.exp(draw.normal(0, 0.15, len(life.ghi_w_per_m2) // 4)), 4)
    rooms = life.room_degc[:, site] + draw.normal(0, NOISE_K, len(life.room_degc))
    return HeatRecord(rooms, life.power_w[:, site], life.outdoor_degc, sun).part(start, end)


def learning_rows() -> Iterator[dict[str, Any]]:
    """Yield what three weeks tell of the houses, and how well the week after is foreseen."""
    for label, shifted in (("thermostats left alone", False), ("heating shifted", True)):
        life = lived(street(START), 4 * WEEK, shifted=shifted)
        draw = np.random.default_rng(5)
        found, began = [], time.process_time()
        for site in range(HOUSES):
            before = guessed(truth_of(life.world, site), draw)
            model = identified(measured(life, site, 0, 3 * WEEK, draw), before)
            assert model is not None
            found.append(model)
        spent_ms = 1000 * (time.process_time() - began) / HOUSES
        off = [
            [abs(getattr(model, name) / getattr(truth_of(life.world, site), name) - 1) for name in PARAMETERS]
            for site, model in enumerate(found)
        ]
        for name, column in zip(PARAMETERS, np.array(off).T, strict=True):
            yield row(label, f"{name}, houses within 15 % of the truth", 100 * (column <= WITHIN).mean(), "%")
            yield row(label, f"{name}, median error", 100 * float(np.median(column)), "%")
        day, hour = errors_k(life, found, draw)
        yield row(label, "temperature 24 h ahead, RMSE", day, "K", "≤ 1.0")
        yield row(label, "temperature 1 h ahead, RMSE", hour, "K", "≤ 0.3")
        yield row(label, "identification, CPU", spent_ms, "ms", "once a week")


def errors_k(life: Lived, models: list[ThermalModel], draw: np.random.Generator) -> tuple[float, float]:
    """Return the errors of forecasts a day and an hour ahead in the last week, with the weather as foreseen.

    The start is what the thermometer says, the heat pump's power is known, the rest is forecast.
    """
    errors: dict[int, list[float]] = {INTERVALS_A_DAY: [], 4: []}
    start_s = life.world.settings.start_s
    for step in range(3 * WEEK, 4 * WEEK - INTERVALS_A_DAY, 24):
        weather = life.world.weather.forecast(start_s + step * INTERVAL_S)
        for site, model in enumerate(models):
            ahead = HeatRecord(
                life.room_degc[step : step + INTERVALS_A_DAY, site],
                life.power_w[step : step + INTERVALS_A_DAY, site],
                np.asarray(weather.outdoor_degc),
                np.asarray(weather.ghi_w_per_m2),
            )
            start_degc = life.room_degc[step - 1, site] + draw.normal(0, NOISE_K)
            foreseen = predicted(model, float(start_degc), ahead)
            for steps, into in errors.items():
                into.append(float(foreseen[steps - 1] - ahead.temperature_degc[steps - 1]))
    day, hour = (float(np.sqrt(np.mean(np.square(each)))) for each in errors.values())
    return day, hour


COMMUNITY = """
start: {start}
zone: Europe/Berlin
intervals: {intervals}
step_s: {step_s}
record: false
sites:
{sites}
"""


def community(intervals: int, *, overrides: float = 0, share: float = 0, step_s: int = 900) -> CommunityModel:
    """Return six households with plants, heat pumps and tanks, whose managers guess their houses wrong."""
    draw = np.random.default_rng(11)
    lines = []
    for number in range(6):
        loss = round(float(draw.uniform(100, 220)))
        heating = (
            f"{{power_kw: {loss * 0.018:.1f}, heat_loss_w_per_k: {loss}, minimum_share: {share}, "
            f"capacity_kwh_per_k: {loss * draw.uniform(0.06, 0.11):.1f}, sensor_noise_k: {NOISE_K}, "
            f"overrides_a_week: {overrides}}}"
        )
        lines.append(f"  - {{id: h{number}, pv: {{kwp: 6}}, heat_pump: {heating}, hot_water: {{}}}}")
    text = COMMUNITY.format(start=START, intervals=intervals, step_s=step_s, sites="\n".join(lines))
    model = CommunityModel(parse_scenario(text, {}))
    model.step()
    for learning in learners(model):
        assert learning.model is not None
        learning.model = guessed(learning.model, draw)
    return model


def learners(model: CommunityModel) -> list[BuildingLearning]:
    """Return what learns in each heat manager of a community."""
    agents = model.community.agents
    return [agents[f"h{number}-p2h@localhost"].behaviour(BuildingLearning) for number in range(6)]


def comfort_rows(days: int = 28) -> Iterator[dict[str, Any]]:
    """Yield how comfort and hot water were over four weeks under the agents, plans and prices."""
    for label, overrides in (("community, four weeks", 0.0), ("the same, two overrides a week", 2.0)):
        model = community(days * INTERVALS_A_DAY, overrides=overrides)
        world, managers = model.community.world, learners(model)
        rooms, bands, hot, seen = [], [], [], []
        for _ in range(days * INTERVALS_A_DAY - 1):
            model.step()
            rooms.append(world.buildings.room_degc.copy())
            models = [each.sibling(ComfortKeeping).building() for each in managers]
            bands.append([(each.temperature_min_degc, each.temperature_max_degc) for each in models if each])
            hot.append(world.now_s - world.tanks.legionella_s)
            seen.append(world.tanks.legionella_s > world.settings.start_s)
        low, high = np.moveaxis(np.array(bands), -1, 0)
        heating = np.array(world.site_table()["heat_pump_wh"]).reshape(-1, 6)[1:] > 0
        cold_k, warm_k = low - np.array(rooms), np.where(heating, np.array(rooms) - high, 0.0)
        outside_k = np.maximum(np.maximum(cold_k, warm_k), 0.0)
        yield row(label, "outside the comfort band, of all time", 100 * (outside_k > 0).mean(), "%", "≤ 1")
        yield row(label, "farthest outside", float(outside_k.max()), "K", "≤ 0.5")
        days_cool = np.array(hot) / 86_400
        known = np.where(np.array(seen), days_cool, 0.0)
        yield row(label, "longest without 60 °C, the tank seen hot before", float(known.max()), "days", "≤ 7")
        yield row(label, "the same before that, by the heater itself", float(days_cool.max()), "days", "≤ 7")
        yield row(label, "models learnt", sum(each.relearnt for each in managers), "")


def compressor_rows(hours: int = 12) -> Iterator[dict[str, Any]]:
    """Yield the shortest run and rest of compressors that are steered by the minute."""
    for share in (0.3, 1.0):
        model = community(hours * 4, overrides=14, share=share, step_s=60)
        world = model.community.world
        powers: list[FloatArray] = []
        step = world.step

        def noting(powers: list[FloatArray] = powers, world: World = world, step: Any = step) -> None:
            step()
            powers.append(world.power_w[4].copy())

        world.step = noting
        for _ in range(hours * 4 - 1):
            model.step()
        spells = inner_spells(np.array(powers) > 0)
        label = f"compressors from {share:.0%} of their power, by the minute"
        for is_on, name in ((True, "shortest run"), (False, "shortest rest")):
            lengths = [minutes for on, minutes in spells if on is is_on]
            yield row(label, name, min(lengths, default=0), "min", "≥ 10")
        yield row(label, "starts a day and house", sum(on for on, _ in spells) / 6 / (hours / 24), "")


def inner_spells(running: Any) -> list[tuple[bool, int]]:
    """Return runs and rests in minutes of each column, but for the first and the last, which are cut off."""
    found: list[tuple[bool, int]] = []
    for column in running.T:
        spells = [(on, len(list(each))) for on, each in groupby(column.tolist())]
        found += spells[1:-1]
    return found


def promise_rows() -> Iterator[dict[str, Any]]:
    """Yield what activations of the virtual battery bring, by the minute, beside what was promised."""
    life = lived(street(START), 3 * WEEK, shifted=True)
    draw = np.random.default_rng(9)
    shares, outside = [], []
    models = []
    for site in range(HOUSES):
        model = identified(measured(life, site, 0, 3 * WEEK, draw), guessed(truth_of(life.world, site), draw))
        assert model is not None
        models.append(model)
    for _ in range(ACTIVATIONS):
        site, step = int(draw.integers(HOUSES)), int(draw.integers(2 * WEEK, 3 * WEEK - 16))
        share, outside_k = activated(life, models[site], site, step, draw)
        shares.append(share)
        outside.append(outside_k)
    delivered = 100 * np.array(shares)
    label = f"virtual battery, {ACTIVATIONS} activations of two hours"
    within = (delivered >= 90) & (delivered <= 110)
    yield row(label, "delivered of what was promised, mean", float(delivered.mean()), "%", "90–110")
    yield row(label, "least and most", f"{delivered.min():.0f}–{delivered.max():.0f}", "%", "90–110")
    yield row(label, "activations within 90–110 %", 100 * float(within.mean()), "%")
    yield row(label, "outside the comfort band afterwards, most", max(outside), "K", "≤ 0.5")


def activated(
    life: Lived, model: ThermalModel, site: int, step: int, draw: np.random.Generator
) -> tuple[float, float]:
    """Return which share of a promise was delivered, and how far the room left its band.

    The most or the least that the envelope allows in two hours is promised, against the usual plan; both are
    then carried out by a compressor that cannot run below 30 %, minute by minute, in the real house.
    """
    truth = truth_of(life.world, site)
    power_max_w = int(life.world.buildings.power_max_w[site])
    start_s = life.world.settings.start_s + step * INTERVAL_S
    start_degc = float(life.room_degc[step - 1, site])
    status = ThermalStatus(
        asset_id=model.asset_id,
        time_s=start_s,
        temperature_degc=start_degc + float(draw.normal(0, NOISE_K)),
        power_w=0,
        outdoor_degc=float(life.outdoor_degc[step - 1]),
    )
    envelope = building_envelope(model, status, life.world.weather.forecast(start_s), power_max_w, start_s)
    usual = plan_site([0] * INTERVALS_A_DAY, [2_000] * INTERVALS_A_DAY, [600] * INTERVALS_A_DAY, [envelope])
    plan = usual.setpoints[model.asset_id][:8]
    ordered = extreme(envelope, up=bool(draw.integers(2)))
    promised_wh = (sum(ordered) - sum(plan)) / 4
    if abs(promised_wh) < 200:
        return 1.0, 0.0
    around = life.outdoor_degc[step : step + 8], life.ghi_w_per_m2[step : step + 8]
    plan_wh, _ = carried_out(truth, plan, power_max_w, start_degc, *around)
    ordered_wh, rooms = carried_out(truth, ordered, power_max_w, start_degc, *around)
    began_outside_k = max(
        0.0, truth.temperature_min_degc - start_degc, start_degc - truth.temperature_max_degc
    )
    outside_k = max(0.0, truth.temperature_min_degc - min(rooms), max(rooms) - truth.temperature_max_degc)
    return (ordered_wh - plan_wh) / promised_wh, outside_k if not began_outside_k else 0.0


def extreme(envelope: FlexEnvelope, *, up: bool) -> list[int]:
    """Return the powers of two hours that use the envelope to its least or its most, as early as possible."""
    powers, content_wh = [], 0.0
    bounds = envelope.energy_min_wh if up else envelope.energy_max_wh
    for bound_wh, most_w in zip(bounds[:8], envelope.power_max_w[:8], strict=True):
        powers.append(round(min(max((bound_wh - content_wh) * 4, 0.0), most_w)))
        content_wh += powers[-1] / 4
    return powers


def carried_out(
    truth: ThermalModel,
    plan_w: list[int],
    power_max_w: int,
    start_degc: float,
    outdoor_degc: FloatArray,
    ghi_w_per_m2: FloatArray,
) -> tuple[float, list[float]]:
    """Return the energy in Wh that a compressor takes under a plan, and the temperatures it leads to."""
    rule = CompressorRule(round(0.3 * power_max_w), power_max_w)
    state, taken_wh, room = CompressorState(plan_w[0] > 0, -3_600), 0.0, start_degc
    rooms = []
    for minute in range(len(plan_w) * MINUTES):
        step = minute // MINUTES
        state, power_w = compressor_step(rule, state, plan_w[step], minute * 60, 60)
        taken_wh += power_w / 60
        around = HeatRecord(
            np.zeros(1), np.array([power_w]), outdoor_degc[step : step + 1], ghi_w_per_m2[step : step + 1], 60
        )
        room = float(predicted(truth, room, around)[0])
        rooms.append(room)
    return taken_wh, rooms


def row(where: str, what: str, value: float | str, unit: str, wanted: str = "") -> dict[str, Any]:
    """Return a row of the table."""
    shown = value if isinstance(value, str) else f"{value:.3g}"
    return {"where": where, "what": what, "measured": f"{shown} {unit}".strip(), "wanted": wanted}


def rows() -> list[dict[str, Any]]:
    """Return all that SPEC 4.8 asks for, measured."""
    return [*learning_rows(), *promise_rows(), *comfort_rows(), *compressor_rows()]
