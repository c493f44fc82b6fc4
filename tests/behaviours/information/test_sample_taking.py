"""Samples by letter: taken from gateways for their own site, answered with a receipt."""

import dataclasses

import pytest

from behaviours.information.sample_taking import SampleTaking
from ontology.errors import Refused
from ontology.roles import Role
from ontology.samples import Sample, SampleBatch, SampleReceipt


class Notes:
    """The `SampleIntake` port: remembers what it was asked."""

    def __init__(self):
        self.taken, self.forwarded, self.closed = [], 0, 0

    async def take(self, site, batch):
        if site != batch.site:
            raise Refused("own site only")
        self.taken.append(batch)
        return SampleReceipt(batch_id=batch.batch_id, stored=len(batch.samples))

    async def forward(self):
        self.forwarded += 1
        return 0

    async def close_intervals(self):
        self.closed += 1
        return 0


@pytest.fixture
def intake(town, monkeypatch):
    notes, usual = Notes(), town.surroundings
    monkeypatch.setattr(town, "surroundings", lambda: dataclasses.replace(usual(), samples=notes))
    agent = town.agent("repository", Role.REPOSITORY, SampleTaking)
    yield notes
    agent.kill()
    town.run(1)


def sent(town, gateway, site="h001"):
    now_s = int(town.clock.now_s())
    batch = SampleBatch(site=site, batch_id="b", samples=[Sample(sensor_id="meter", time_s=now_s, value=1.0)])
    return town.outcome(gateway.ask("repository@town", batch, now_s + 5)).content


def test_a_gateway_gets_a_receipt_and_the_repository_hears_of_it(town, intake):
    gateway = town.mailbox("gateway", Role.GATEWAY, site="h001")
    assert sent(town, gateway) == SampleReceipt(batch_id="b", stored=1)
    assert intake.forwarded == 1


def test_a_gateway_speaks_for_its_own_site(town, intake):
    gateway = town.mailbox("gateway", Role.GATEWAY, site="h002")
    with pytest.raises(Refused):
        sent(town, gateway)
    assert intake.taken == []


def test_others_send_no_samples(town, intake):
    with pytest.raises(Refused):
        sent(town, town.mailbox("prosumer", Role.PROSUMER, site="h001"))


def test_intervals_are_made_each_minute(town, intake):
    town.run(600)
    assert intake.closed == 10
