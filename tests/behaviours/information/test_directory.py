"""The directory: registered with a lease, found by what one offers, missed when it runs out."""

import msgspec
import pytest
from post_office import START_S

from behaviours.behaviour import Behaviour, on, when
from behaviours.information.directory import LEASE_S, DirectoryFacilitator, DirectoryMembership, look_up
from ontology.directory import DirectoryEntry, DirectoryNotice
from ontology.discourse import Acknowledgement
from ontology.errors import Refused
from ontology.performatives import Performative
from ontology.roles import Role

DIRECTORY = "market@town"


class Offer(msgspec.Struct, frozen=True):
    """What a member says of itself."""

    directory: str = DIRECTORY
    segment_id: str = "s1"
    offers: tuple[str, ...] = ("flexibility",)


class Watching(Behaviour):
    """Notes who comes and goes."""

    def setup(self):
        self.seen = []

    @when("started")
    def begin(self):
        self.subscribe(DIRECTORY, DirectoryNotice)

    @on(DirectoryNotice)
    def note(self, notice, letter):
        self.seen.append((notice.agent, notice.present, notice.time_s))


@pytest.fixture
def facilitator(town):
    return town.agent("market", Role.MARKET_OPERATOR, DirectoryFacilitator)


def member(town, name, role=Role.PROSUMER, **offer):
    return town.agent(name, role, DirectoryMembership, settings=Offer(**offer))


def found(town, asker, **wishes):
    entries = town.outcome(look_up(asker.behaviour(DirectoryMembership), DIRECTORY, **wishes))
    return [entry.agent.removesuffix("@town") for entry in entries]


def test_members_find_each_other_by_role_segment_and_product(town, facilitator):
    asker = member(town, "dso", Role.DSO, offers=())
    member(town, "ann")
    member(town, "bob", segment_id="s2")
    member(town, "cem", offers=("metering",))
    town.run(10)
    assert found(town, asker) == ["ann", "bob", "cem", "dso"]
    assert found(town, asker, role=Role.PROSUMER, segment_id="s1") == ["ann", "cem"]
    assert found(town, asker, product="flexibility") == ["ann", "bob"]
    assert found(town, asker, segment_id="nowhere") == []


def test_many_are_found_page_by_page(town, facilitator):
    for i in range(130):
        member(town, f"m{i:03d}")
    town.run(10)
    asker = member(town, "zoe", Role.DSO)
    town.run(1)
    assert found(town, asker, role=Role.PROSUMER) == [f"m{i:03d}" for i in range(130)]


def test_who_vanishes_is_missed_when_its_lease_runs_out_and_not_before(town, facilitator):
    asker = member(town, "zoe", Role.DSO)
    watcher = town.agent("eve", Role.DSO, Watching)
    town.run(1)
    ann = member(town, "ann")
    town.run(1)
    ann.kill()
    town.run(LEASE_S - 10)
    assert "ann" in found(town, asker)
    town.run(10 + LEASE_S / 2)
    assert "ann" not in found(town, asker)
    gone = [(who, there) for who, there, _ in watcher.behaviour(Watching).seen if who == "ann@town"]
    assert gone == [("ann@town", True), ("ann@town", False)]


def test_who_lives_stays_registered(town, facilitator):
    asker = member(town, "zoe", Role.DSO)
    member(town, "ann")
    town.run(10 * LEASE_S)
    assert "ann" in found(town, asker)


def test_who_stops_is_gone_at_once(town, facilitator):
    asker = member(town, "zoe", Role.DSO)
    ann = member(town, "ann")
    town.run(1)
    town.soon(ann.stop)
    town.run(1)
    assert found(town, asker) == ["zoe"]


def test_a_facilitator_that_comes_back_knows_who_was_there(town, facilitator):
    asker = member(town, "zoe", Role.DSO)
    ann = member(town, "ann")
    town.run(1)
    facilitator.kill()
    ann.kill()
    town.agent("market", Role.MARKET_OPERATOR, DirectoryFacilitator)
    assert found(town, asker) == ["ann", "zoe"]
    town.run(1.6 * LEASE_S)
    assert found(town, asker) == ["zoe"]


def test_who_comes_while_the_facilitator_is_away_registers_later(town):
    ann = member(town, "ann")
    town.run(60)
    town.agent("market", Role.MARKET_OPERATOR, DirectoryFacilitator)
    town.run(LEASE_S)
    assert found(town, ann) == ["ann"]


@pytest.mark.parametrize(
    "wrong",
    [{"agent": "bob@town"}, {"role": Role.DSO}, {"lease_s": 1}, {"lease_s": 10**6}],
    ids=["another's name", "another role", "too short", "too long"],
)
def test_nobody_registers_another_or_for_ever(town, facilitator, wrong):
    ann = member(town, "ann")
    town.run(1)
    entry = DirectoryEntry(agent="ann@town", role=Role.PROSUMER, lease_s=LEASE_S, registered_at_s=START_S)
    impostor = msgspec.structs.replace(entry, **wrong)
    with pytest.raises(Refused):
        town.outcome(ann.ask(DIRECTORY, impostor, Acknowledgement, act=Performative.REQUEST))


class Porter:
    """Stands for a server that tells of connections, to who watches."""

    def __init__(self):
        self.watched = {}

    def watch(self, watcher, address, changed):
        self.watched[address] = changed


def test_where_the_server_tells_of_lost_connections_they_are_missed_after_a_minute(town):
    town.presence = porter = Porter()
    facilitator = town.agent("market", Role.MARKET_OPERATOR, DirectoryFacilitator)
    asker = member(town, "zoe", Role.DSO)
    member(town, "ann"), member(town, "bob")
    town.run(1)
    for name in ("ann", "bob"):
        town.soon(porter.watched[f"{name}@town"], f"{name}@town", False)
    town.run(30)
    town.soon(porter.watched["bob@town"], "bob@town", True)
    assert found(town, asker, role=Role.PROSUMER) == ["ann", "bob"]
    town.run(31)
    assert found(town, asker, role=Role.PROSUMER) == ["bob"]
    assert facilitator.counts["connections gone"] == 1
