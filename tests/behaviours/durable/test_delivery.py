"""What must arrive arrives, once and in order, whatever dies and however bad the network is."""

from hypothesis import given
from hypothesis import strategies as st
from post_office import Town, some
from relay import DSO, MARKET, ORACLE, MortalStore, Relay

from environments.simulation.transport import Faults

FOUL = Faults(delay_max_s=1.5, loss=0.3, duplication=0.2)


def test_a_letter_leaves_the_outbox_when_it_is_confirmed(town):
    relay = Relay(town)
    relay.say(1)
    town.run(5)
    relay.say(2)
    town.run(5)
    assert relay.read(MARKET) == relay.read(ORACLE) == [1, 2]
    assert relay.agents[DSO].unconfirmed == 0
    assert relay.agents[DSO].counts["resent"] == 0


def test_a_letter_to_a_dead_agent_waits_for_it_over_days(town):
    relay = Relay(town)
    relay.kill(ORACLE)
    relay.say(1, 2, 3)
    town.run(3 * 86_400)
    relay.start(ORACLE)
    town.run(60)
    assert relay.read(MARKET) == [1, 2, 3]


def test_a_letter_outlives_its_sender(town):
    relay = Relay(town)
    town.transport.faults = Faults(loss=1)
    relay.say(1, 2)
    relay.kill(DSO)
    town.transport.faults = None
    town.run(60)
    assert relay.read(ORACLE) == []
    relay.start(DSO)
    town.run(60)
    assert relay.read(MARKET) == [1, 2]


def test_a_letter_that_nobody_could_be_told_in_a_week_is_given_up_and_the_next_still_read(town):
    relay = Relay(town)
    relay.kill(ORACLE)
    relay.say(1)
    town.run(8 * 86_400)
    relay.say(2)
    relay.start(ORACLE)
    town.run(120)
    assert relay.read(MARKET) == [2]
    assert relay.agents[DSO].counts["expired"] == 1
    assert relay.agents[ORACLE].post.counts["lost"] == 1


def test_more_letters_than_a_window_arrive_in_order_over_a_foul_network():
    with Town(faults=FOUL, seed=3) as town:
        relay = Relay(town)
        relay.say(*range(1, 101))
        town.run(3600)
        assert relay.read(MARKET) == list(range(1, 101))
        assert relay.agents[DSO].counts["resent"] > 0


def test_a_letter_that_is_refused_holds_up_no_other(town):
    relay = Relay(town)
    relay.kill(ORACLE)
    relay.say(1)
    relay.say_what_is_none_of_its_business()
    relay.say(2)
    relay.start(ORACLE)
    town.run(120)
    assert relay.read(MARKET) == [1, 2]
    assert relay.agents[ORACLE].post.counts["refused"] == 1
    assert relay.agents[DSO].unconfirmed == 0


@some
@given(
    seed=st.integers(0, 2**32 - 1),
    deaths=st.dictionaries(st.integers(10, 120), st.booleans(), min_size=1, max_size=8),
)
def test_death_at_any_transaction_loses_and_doubles_nothing(seed, deaths):
    store = MortalStore()
    with Town(faults=FOUL, seed=seed) as town:
        relay = Relay(town, store)
        store.deaths, store.dies, store.is_mortal = deaths, relay.kill, relay.is_running
        said = []
        for number in range(1, 41):
            relay.say(number)
            said += [number] if relay.has_written(DSO, len(said) + 1) else []
            town.run(20)
            while store.dead:
                relay.start(store.dead.pop(0))
        town.run(900)
        assert relay.read(MARKET) == relay.read(ORACLE) == said
        assert not any(relay.unconfirmed(address) for address in relay.agents)
