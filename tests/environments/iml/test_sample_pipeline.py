"""From samples to the repository: once, in whatever order, through outages, spikes and restarts."""

import asyncio
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from iml_samples import SITE, START_S, Layer, MoodyRepository, day_of

from environments.iml.catalogue import Catalogue, SensorSettings, SiteSensors
from ontology.errors import InvalidInput, Refused, Unavailable
from ontology.measurements import Quality
from ontology.samples import Sample, SampleBatch


def wavy(at):
    return round(800 + 300 * math.sin(at / 200) + (at * 7919 % 97), 1)


@pytest.fixture
def layer(tmp_path):
    return Layer(tmp_path)


def test_an_hour_of_samples_becomes_four_readings_and_live_values(layer):
    async def story():
        await layer.take(day_of(wavy))
        await layer.close_at(START_S + 3_600 + 320)
        return await layer.readings(), await layer.readings("h001", "parity:Measurement")

    readings, live = asyncio.run(story())
    assert [reading.start_s for reading in readings] == [START_S + step * 900 for step in range(4)]
    assert {reading.quality for reading in readings} == {Quality.VALID}
    energy_wh = sum(wavy(START_S + at) for at in range(3_600)) / 3_600
    assert sum(reading.consumed_wh for reading in readings) == pytest.approx(energy_wh, rel=0.005)
    assert [sample.value for sample in live] == [value for _, value in day_of(wavy)]


def test_what_is_taken_and_given_within_an_interval_does_not_cancel(layer):
    async def story():
        await layer.take(day_of(lambda at: 1_200.0 + at % 3 if at < START_S + 450 else -800.0 - at % 3, 0.5))
        await layer.close_at(START_S + 1_230)
        return await layer.readings()

    first = asyncio.run(story())[0]
    assert first.consumed_wh == pytest.approx(150, abs=3)
    assert first.produced_wh == pytest.approx(100, abs=3)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_order_and_repetition_change_nothing(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    samples = day_of(wavy, hours=0.8)
    shuffled = [samples[i] for i in rng.permutation(len(samples))]
    repeated = shuffled + [shuffled[i] for i in rng.integers(0, len(samples), 80)]
    cuts = sorted(rng.integers(1, len(repeated), 3).tolist())

    async def come(order, moments):
        layer = Layer(tmp_path_factory.mktemp("layer"))
        for first, last, at in zip([0, *cuts], [*cuts, len(order)], moments, strict=True):
            await layer.take(order[first:last])
            await layer.close_at(max(layer.clock.time_s, START_S + at))
        await layer.close_at(START_S + 6_400)
        return await layer.everything()

    in_order = asyncio.run(come(samples, [2_880] * 4))
    assert asyncio.run(come(repeated, sorted(rng.integers(0, 3_500, 4).tolist()))) == in_order


def test_a_reading_is_there_ten_seconds_after_its_interval_and_final_after_the_watermark(layer):
    async def story():
        await layer.take(day_of(600.0, 0.24))
        await layer.close_at(START_S + 910)
        early = (await layer.readings())[0]
        await layer.take([(START_S + 890, 600.0), (START_S + 900, 600.0), (START_S + 910, 600.0)])
        await layer.close_at(START_S + 1_200)
        return early, (await layer.readings())[0], layer.store.due(START_S + 900)

    early, final, due = asyncio.run(story())
    assert early.consumed_wh == final.consumed_wh == 150
    assert final.quality is Quality.VALID
    assert due == []


def test_a_day_without_link_loses_nothing(layer):
    async def story():
        samples = day_of(wavy, hours=26, step_s=20)
        link_lost, back = START_S + 3_600, START_S + 25 * 3_600
        await layer.take([each for each in samples if each[0] < link_lost])
        for quarter in range(4, 101):
            await layer.close_at(START_S + quarter * 900 + 320)
        during = {reading.start_s: reading.quality for reading in await layer.readings()}
        await layer.take([each for each in samples if each[0] >= link_lost])
        await layer.close_at(back + 3_600 + 320)
        return during, await layer.readings(), layer.store.count(), len(samples)

    during, readings, stored, sent = asyncio.run(story())
    assert stored == sent
    assert len(during) < 12
    assert len(readings) == 26 * 4
    energy_wh = sum(wavy(START_S + at) for at in range(26 * 3_600)) / 3_600
    assert sum(reading.consumed_wh for reading in readings) == pytest.approx(energy_wh, rel=0.005)


def test_spikes_reach_neither_reading_nor_repository(layer):
    async def story():
        samples = [(at, 9_000.0 if at == START_S + 500 else value) for at, value in day_of(wavy)]
        await layer.take(samples)
        await layer.pipeline.forward()
        await layer.close_at(START_S + 4_000)
        live = await layer.readings("h001", "parity:Measurement")
        return (
            await layer.readings(),
            next(each for each in live if each.time_s == START_S + 500),
            layer.store,
        )

    readings, treated, store = asyncio.run(story())
    assert readings[0].consumed_wh == pytest.approx(
        sum(wavy(START_S + at) for at in range(900)) / 3_600, rel=0.02
    )
    assert treated.quality is Quality.SUBSTITUTED
    assert treated.value < 1_300
    assert (START_S + 500, 9_000.0) in store.samples("h001/meter", START_S, START_S + 900), "raw is kept"


def test_energy_is_conserved_through_a_registers_outage(layer):
    async def story():
        counted = [(at, 40_000 + (at - START_S) // 2) for at in range(START_S - 60, START_S + 6 * 3_600, 60)]
        there = [each for each in counted if not START_S + 4_000 < each[0] < START_S + 15_000]
        await layer.take(there, sensor="heat-register")
        await layer.close_at(START_S + 6 * 3_600 + 320)
        return await layer.readings("h001-heat_pump:15min", "parity:Measurement")

    found = asyncio.run(story())
    assert len(found) == 23
    assert sum(each.value for each in found) == pytest.approx(23 * 450)
    assert {each.quality for each in found} == {Quality.VALID, Quality.ESTIMATED}


def test_while_the_repository_is_away_everything_waits(tmp_path):
    async def story():
        layer = Layer(tmp_path)
        layer.repository.away = True
        (receipt, *_) = await layer.take(day_of(wavy))
        with pytest.raises(Unavailable):
            await layer.close_at(START_S + 4_000)
        with pytest.raises(Unavailable):
            await layer.pipeline.close_intervals()
        layer.store.close()
        restarted = Layer(tmp_path, time_s=START_S + 4_100)
        await restarted.close_at(START_S + 4_100)
        return receipt, await restarted.readings(), await restarted.readings("h001", "parity:Measurement")

    receipt, readings, live = asyncio.run(story())
    assert receipt.stored == 361
    assert len(readings) == 4
    assert len(live) == 361


def test_what_was_told_is_not_told_again(tmp_path):
    async def story():
        repository = MoodyRepository()
        layer = Layer(tmp_path, repository)
        await layer.take(day_of(wavy))
        await layer.close_at(START_S + 4_000)
        told = repository.told
        await layer.take(day_of(wavy))
        await layer.close_at(START_S + 4_100)
        return told, repository.told

    before, after = asyncio.run(story())
    assert before == after


def test_all_that_cannot_be_taken_is_named_and_the_rest_is_stored(layer):
    async def story():
        samples = [
            Sample(sensor_id="meter", time_s=START_S, value=1.0),
            Sample(sensor_id="of-the-neighbour", time_s=START_S, value=1.0),
            Sample(sensor_id="meter", time_s=START_S + 7_200, value=1.0),
            Sample(sensor_id="meter", time_s=0, value=1.0),
        ]
        return await layer.pipeline.take("h001", SampleBatch(site="h001", batch_id="b", samples=samples))

    receipt = asyncio.run(story())
    assert receipt.stored == 1
    assert [each.path for each in receipt.refused] == [
        "samples[1].sensor_id",
        "samples[2].time_s",
        "samples[3].time_s",
    ]


def test_nobody_speaks_for_another_site(layer):
    batch = SampleBatch(
        site="h001", batch_id="b", samples=[Sample(sensor_id="meter", time_s=START_S, value=1.0)]
    )
    with pytest.raises(Refused):
        asyncio.run(layer.pipeline.take("h002", batch))


def test_a_catalogue_names_all_that_is_wrong_with_it():
    twice = SensorSettings(id="meter", type="site-power")
    register = SensorSettings(id="import", type="import-register")
    odd = SensorSettings(id="room", type="temperature", low=50, high=10)
    with pytest.raises(InvalidInput) as caught:
        Catalogue([SiteSensors(site="h001", sensors=(twice, twice, register, odd))])
    assert [each.path for each in caught.value.problems] == [
        "h001.sensors[1].id",
        "h001.sensors[3].low",
        "h001.sensors",
        "h001.sensors",
    ]
    assert len(Catalogue([SITE]).concepts()) == 6
