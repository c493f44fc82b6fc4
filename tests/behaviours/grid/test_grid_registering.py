"""What the DSO's oracle brings is written into the register: together, in order, until it is there."""

import dataclasses
from typing import Any

import pytest
from post_office import START_S, Mailbox, Town

from behaviours.grid.registering import GridRegistering
from behaviours.information.register_writing import GATHER_S, WAITS_S
from behaviours.market.blockchain_settings import BlockchainSettings
from behaviours.site.contacts import SiteContacts
from contracts.memory_register import MemoryRegister
from launch.results import completed
from ontology.discourse import Acknowledgement, Refusal
from ontology.errors import Unavailable
from ontology.grid import GridConstraint, GridState, GridStatusEvent
from ontology.performatives import Performative
from ontology.roles import Role

SETTINGS = BlockchainSettings(contacts=SiteContacts(oracle="oracle@town"), segment_id="")


class Notepad(MemoryRegister):
    """A register that notes what is written, and can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.calls: list[Any] = []

    async def set_grid_states(self, events: Any, time_s: int) -> None:
        await self._write(events)
        await super().set_grid_states(events, time_s)

    async def set_constraint(self, constraint: GridConstraint, time_s: int) -> None:
        await self._write(constraint.import_max_w)
        await super().set_constraint(constraint, time_s)

    async def _write(self, content: Any) -> None:
        if self.is_away:
            raise Unavailable("chain: no node")
        self.calls.append(content)


class Bench:
    """The agent in a town, with a register to write into and an oracle to hear from."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.register = Notepad()
        surroundings = dataclasses.replace(town.surroundings(), register=self.register)
        town.surroundings = lambda recorder=None: surroundings  # type: ignore[method-assign]
        self.oracle = town.mailbox("oracle", Role.ORACLE)
        self.stranger = town.mailbox("stranger", Role.ORACLE)
        self.agent = town.agent("dso", Role.BLOCKCHAIN, GridRegistering, settings=SETTINGS)

    def bring(self, content: Any, by: Mailbox | None = None) -> Any:
        """Bring something to the agent and return what it answers."""
        sender = by or self.oracle
        self.town.soon(sender.send, "dso@town", content, Performative.REQUEST)
        return sender.read[-1].content


@pytest.fixture
def bench(town: Town) -> Bench:
    return Bench(town)


def light(segment_id: str, start_s: int = START_S, state: GridState = GridState.GREEN) -> GridStatusEvent:
    return GridStatusEvent(
        segment_id=segment_id,
        start_s=start_s,
        end_s=start_s + 900,
        published_at_s=start_s - 300,
        state=state,
        causes=[],
        loading=0.5,
        voltage_min_pu=1.0,
        voltage_max_pu=1.0,
    )


def limit(start_s: int, most_w: int) -> GridConstraint:
    return GridConstraint(segment_id="north", start_s=start_s, import_max_w=[most_w], export_max_w=[most_w])


def test_what_comes_within_seconds_is_written_in_one_transaction(bench, town):
    lights = [light("north"), light("south", state=GridState.RED)]
    assert all(isinstance(bench.bring(each), Acknowledgement) for each in lights)
    assert bench.register.calls == []
    town.run(GATHER_S)
    assert bench.register.calls == [lights]
    town.run(900)
    assert len(bench.register.calls) == 1


def test_what_somebody_else_brings_is_refused(bench, town):
    assert isinstance(bench.bring(light("north"), by=bench.stranger), Refusal)
    assert isinstance(bench.bring(limit(START_S, 9), by=bench.stranger), Refusal)
    town.run(400)
    assert bench.register.calls == []


def test_a_limit_that_is_older_than_the_newest_is_not_written_any_more(bench, town):
    for constraint in (limit(START_S + 900, 40_000), limit(START_S, 50_000)):
        assert isinstance(bench.bring(constraint), Acknowledgement)
    town.run(400)
    assert bench.register.calls == [[40_000]]


def test_while_the_node_is_away_all_waits_in_order(bench, town):
    bench.register.is_away = True
    bench.bring(limit(START_S, 50_000))
    bench.bring(limit(START_S + 900, 40_000))
    town.run(700)
    assert bench.agent.counts["register not written"] >= 2
    bench.register.is_away = False
    town.run(300)
    assert bench.register.calls == [[50_000], [40_000]]
    assert completed(bench.register.constraint("north")).import_max_w == [40_000]


def test_what_could_not_be_written_for_days_is_given_up_and_counted(bench, town):
    bench.register.is_away = True
    bench.bring(light("north"))
    town.run(WAITS_S + 1_000)
    bench.register.is_away = False
    town.run(600)
    assert bench.register.calls == []
    assert bench.agent.counts["register entries given up"] == 1
