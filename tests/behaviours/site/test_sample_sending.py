"""A gateway sends its samples by letter, until the information layer has them."""

import dataclasses

import pytest

from behaviours.information.sample_taking import SampleTaking
from behaviours.site.contacts import SiteContacts
from behaviours.site.metering import GatewaySettings
from behaviours.site.sample_sending import SampleSending
from environments.iml.outbox import SampleOutbox
from ontology.errors import Unavailable
from ontology.roles import Role
from ontology.samples import Sample, SampleReceipt

SETTINGS = GatewaySettings(site="h001", contacts=SiteContacts(repository="repository@town"))


class Layer:
    """The `SampleIntake` port: takes samples unless its disk is full."""

    def __init__(self):
        self.full = False
        self.seconds = []

    async def take(self, site, batch):
        if self.full:
            raise Unavailable("the disk is full")
        self.seconds += [sample.time_s for sample in batch.samples]
        return SampleReceipt(batch_id=batch.batch_id, stored=len(batch.samples))

    async def forward(self):
        return 0

    async def close_intervals(self):
        return 0


@pytest.fixture
def street(town, monkeypatch, tmp_path):
    layer, outbox, usual = Layer(), SampleOutbox(tmp_path / "box", "h001"), town.surroundings
    ports = {"samples": layer, "outbox": outbox}
    monkeypatch.setattr(town, "surroundings", lambda: dataclasses.replace(usual(), **ports))
    agents = [
        town.agent("repository", Role.REPOSITORY, SampleTaking),
        town.agent("gateway", Role.GATEWAY, SampleSending, settings=SETTINGS, site="h001"),
    ]
    yield layer, outbox
    for agent in agents:
        agent.kill()
    town.run(1)


def fill(outbox, first_s, count):
    outbox.add([Sample(sensor_id="meter", time_s=first_s + i, value=1.0) for i in range(count)])


def test_what_is_in_the_outbox_arrives_in_order(town, street):
    layer, outbox = street
    fill(outbox, 1_000, 1_200)
    town.run(30)
    assert layer.seconds == list(range(1_000, 2_200))
    assert outbox.count() == 0


def test_what_is_not_taken_waits_and_comes_again(town, street):
    layer, outbox = street
    layer.full = True
    fill(outbox, 1_000, 10)
    town.run(600)
    assert outbox.count() == 10
    layer.full = False
    town.run(120)
    assert layer.seconds == list(range(1_000, 1_010))
