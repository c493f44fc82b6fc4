"""Questions and subscriptions keep to FIPA's protocols, whatever the network and the other side do."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from overheard import DOING, FAULTS, acts, listened_to, violated
from post_office import START_S, Town, found, measured, question, some

from behaviours.behaviour import Behaviour, on
from ontology.discourse import Query, QueryResult
from ontology.errors import ParityError, Refused
from ontology.measurements import Measurement
from ontology.performatives import Performative
from ontology.roles import Role

ASKING = st.sampled_from([Performative.REQUEST, Performative.QUERY_REF, Performative.QUERY_IF])


class Clerk(Behaviour):
    """Answers, or not, as the town's settings say; tells measurements to who subscribed."""

    publishes = (Measurement,)

    @on(Query)
    async def answer(self, query, letter):
        how = self.settings
        if how == "refuse":
            raise Refused("not today")
        if how == "break":
            raise RuntimeError("a bug")
        if how == "die":
            self.agent.kill()
        if how in ("dawdle", "die"):
            await self.clock.sleep_until(self.clock.now_s() + 8)
        return found(4)


@some
@given(st.lists(st.tuples(ASKING, DOING), min_size=1, max_size=4), FAULTS, st.integers(0, 2**32 - 1))
def test_no_fault_makes_anybody_break_the_rules(questions, faults, seed):
    with Town(faults=faults, seed=seed) as town:
        listened_to(town)
        asker = town.agent("prosumer", Role.PROSUMER, site="here")
        for number, (_, how) in enumerate(questions):
            clerk = town.agent(f"clerk{number}", Role.REPOSITORY, Clerk, settings=how)
            town.clock.call_at(START_S + 30, partial(clerk.publish, measured(1)))

        async def ask_all():
            for number, (act, _) in enumerate(questions):
                asker.subscribe(f"clerk{number}@town", Measurement)
                try:
                    await asker.ask(f"clerk{number}@town", question(), QueryResult, act=act)
                except ParityError:
                    continue

        town.outcome(ask_all(), within_s=100)
        town.soon(asker.stop)
        assert violated(town) == []
        assert ("prosumer", "subscribe") in acts(town)
