"""The one boundary that every letter crosses: what it lets through, in which order, what it turns away."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from post_office import START_S, Town, found, letter_no, measured, question, some

from behaviours.post import GAP_S, WINDOW_S
from behaviours.signing import Signer
from environments.simulation.transport import Faults
from ontology.codec import MAX_BODY_BYTES, encode_body
from ontology.control import Instruction, InstructionBatch
from ontology.discourse import Acknowledgement, FailureReport, Refusal, Rejection
from ontology.errors import Failed, InvalidInput, NotUnderstood, Problem, Refused, Unavailable
from ontology.performatives import Performative
from ontology.roles import Role


@pytest.fixture
def bess(town):
    town.register("gateway", Role.GATEWAY)
    return town.mailbox("bess", Role.BESS)


@pytest.fixture
def gateway(town, bess):
    return town.mailbox("gateway", Role.GATEWAY)


class Wiretap:
    """A transport that lets somebody alter what it carries."""

    def __init__(self, transport, alter):
        self._transport = transport
        self._alter = alter
        self.deliver_to, self.forget = transport.deliver_to, transport.forget

    def send(self, envelope):
        self._transport.send(self._alter(envelope))


def asked(sequence=1, **changes):
    """Return a question of the gateway to the battery's agent, as it comes from outside."""
    return letter_no(
        sequence,
        **{
            "performative": "request",
            "message_type": "parity:Query",
            "conversation": "abroad/gateway?1",
            "message_id": "abroad/gateway?1#1r",
            "body": encode_body(question()),
        }
        | changes,
    )


# -- one tells, the other reads --------------------------------------------------------------------


def test_a_letter_is_read_by_whom_it_is_for(town, bess, gateway):
    town.soon(gateway.send, "bess@town", measured(21.5))
    assert bess.values == [21.5]
    assert bess.read[0].sender == "gateway@town"
    assert bess.read[0].performative is Performative.INFORM
    assert town.notebook.noted == [("parity:Measurement", "handled")]


def test_many_are_informed_of_the_same(town, bess, gateway):
    pv = town.mailbox("pv", Role.PV)
    recipients = [(to, gateway.conversation_with(to)) for to in ("bess@town", "pv@town")]
    town.soon(gateway.broadcast, recipients, measured(3))
    assert bess.values == pv.values == [3]


def test_letters_of_a_conversation_are_numbered_from_one(town, bess, gateway):
    for value in range(3):
        town.soon(gateway.send, "bess@town", measured(value))
    assert [letter.sequence for letter in bess.read] == [1, 2, 3]


def test_ids_of_letters_are_the_same_in_every_run_and_differ_after_a_restart():
    def message_ids(run_id):
        with Town() as town:
            gateway = town.mailbox("gateway", Role.GATEWAY, run_id=run_id)
            return [town.soon(gateway.send, "bess@town", measured(value)) for value in range(3)]

    assert message_ids("run.1") == message_ids("run.1")
    assert set(message_ids("run.1")).isdisjoint(message_ids("run.2"))


def test_a_closed_post_receives_nothing(town, bess, gateway):
    bess.close()
    town.soon(gateway.send, "bess@town", measured(1))
    assert bess.read == []


# -- default deny, at both ends --------------------------------------------------------------------


def test_nobody_sends_what_its_role_may_not_say(town, bess, gateway):
    batch = InstructionBatch(site="h001", instructions=[set_point()])
    with pytest.raises(Refused, match="a gateway may not inform s2:InstructionBatch"):
        town.soon(gateway.send, "bess@town", batch)
    with pytest.raises(Refused):
        town.soon(gateway.broadcast, [("bess@town", "c")], batch)
    assert bess.read == []


def test_a_body_that_is_too_long_is_not_sent(town, gateway):
    with pytest.raises(InvalidInput, match="at most 48000 bytes"):
        town.soon(gateway.send, "bess@town", found(*range(1000)))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"sender": "stranger@town"}, "stranger@town is not a member"),
        ({"sender": "dso@town"}, "a dso may not inform parity:Measurement"),
        ({"performative": "propose"}, "a gateway may not propose parity:Measurement"),
        ({"performative": "shout"}, "a gateway may not shout parity:Measurement"),
        ({"message_type": "parity:Nonsense"}, "a gateway may not inform parity:Nonsense"),
        ({"message_type": "parity:GridMeasurement"}, "a bess may not be told parity:GridMeasurement"),
    ],
    ids=["unknown sender", "sender's role", "speech act", "unknown act", "unknown type", "receiver's role"],
)
def test_what_the_policy_does_not_grant_is_refused(town, bess, gateway, change, why):
    town.register("dso", Role.DSO)
    envelope = letter_no(1, **change)
    assert why in bess._objection(envelope)
    town.soon(bess.receive, envelope)
    assert bess.read == []
    assert bess.counts["refused"] == 1
    assert town.notebook.noted[0] == (envelope.message_type, "refused")


def test_a_refused_request_is_answered_with_refuse(town, bess, gateway):
    town.soon(bess.receive, letter_no(1, performative="request", message_type="parity:DstatcomCommand"))
    [answer] = gateway.read
    assert answer.performative is Performative.REFUSE
    assert "may not request parity:DstatcomCommand" in answer.content.reason
    assert answer.in_reply_to == "abroad/gateway>bess#1"


def test_a_stranger_gets_no_answer(town, bess):
    stranger = town.mailbox("stranger", Role.GATEWAY)
    del town.members["stranger@town"]
    town.soon(bess.receive, asked(sender="stranger@town"))
    assert bess.counts["refused"] == 1
    assert stranger.read == []


# -- what cannot be read ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"ontology": "parity/2.0"}, "ontology"),
        ({"language": "text/xml"}, "language"),
        ({"body": b'{"type":"parity:Query","entity":3}'}, "entity"),
        ({"body": b'{"type":"parity:Query"}'}, "entity"),
        ({"body": b'{"type":"parity:Measurement"}'}, "type"),
        ({"body": b"{"}, "body"),
        ({"body": b"\xff"}, "body"),
        ({"body": b""}, "body"),
        ({"body": b" " * (MAX_BODY_BYTES + 1)}, "body"),
    ],
    ids=[
        "version",
        "language",
        "wrong type",
        "missing",
        "wrong tag",
        "cut off",
        "no text",
        "empty",
        "oversized",
    ],
)
def test_a_request_that_cannot_be_read_is_answered_with_what_was_wrong(town, bess, gateway, change, path):
    town.soon(bess.receive, asked(**change))
    assert bess.read == []
    assert bess.counts["not understood"] == 1
    [answer] = gateway.read
    assert answer.performative is Performative.NOT_UNDERSTOOD
    assert answer.content.problems[0].path == path


def test_an_inform_that_cannot_be_read_is_only_counted(town, bess, gateway):
    town.soon(bess.receive, letter_no(1, body=b"{"))
    assert bess.counts["not understood"] == 1
    assert gateway.read == []


def test_a_letter_that_cannot_be_read_holds_nobody_up(town, bess):
    town.soon(bess.receive, letter_no(1, body=b"{"))
    town.soon(bess.receive, letter_no(2))
    assert bess.values == [2]


@pytest.mark.parametrize("name", ["a" * 40_000, "\u00fc" * 20_000], ids=["long", "long and not ASCII"])
def test_a_problem_too_long_to_be_told_is_told_in_short(town, bess, gateway, name):
    body = encode_body(question())[:-1] + f',"{name}":1}}'.encode()
    town.soon(bess.receive, asked(body=body))
    [answer] = gateway.read
    assert answer.performative is Performative.NOT_UNDERSTOOD


# -- once, and in order ----------------------------------------------------------------------------


def test_a_duplicate_is_dropped_and_counted(town, bess):
    for envelope in (letter_no(1), letter_no(2), letter_no(1), letter_no(2)):
        town.soon(bess.receive, envelope)
    assert bess.values == [1, 2]
    assert bess.counts["duplicate"] == 2
    assert town.notebook.noted.count(("parity:Measurement", "duplicate")) == 2


def test_letters_out_of_order_are_read_in_order(town, bess):
    for sequence in (1, 4, 3, 2, 5):
        town.soon(bess.receive, letter_no(sequence))
    assert bess.values == [1, 2, 3, 4, 5]
    assert bess.counts["out of order"] == 2


def test_conversations_do_not_wait_for_each_other(town, bess):
    town.soon(bess.receive, letter_no(2))
    town.soon(bess.receive, letter_no(1, conversation="another"))
    assert bess.values == [1]


def test_a_gap_that_nothing_fills_is_given_up_and_counted_as_lost(town, bess):
    for sequence in (1, 4):
        town.soon(bess.receive, letter_no(sequence))
    town.run(GAP_S / 2)
    assert bess.values == [1]
    town.run(GAP_S)
    assert bess.values == [1, 4]
    assert bess.counts["lost"] == 2


def test_what_comes_after_its_gap_was_given_up_is_dropped(town, bess):
    town.soon(bess.receive, letter_no(2))
    town.run(2 * GAP_S)
    town.soon(bess.receive, letter_no(1))
    assert bess.values == [2]
    assert bess.counts["duplicate"] == 1


def test_behind_a_gap_the_next_gap_is_waited_for_as_long(town, bess):
    for sequence in (2, 4):
        town.soon(bess.receive, letter_no(sequence))
    town.run(1.5 * GAP_S)
    town.soon(bess.receive, letter_no(3))
    assert bess.values == [2, 3, 4]
    assert bess.counts["lost"] == 1


def test_a_gap_that_was_filled_does_not_shorten_the_wait_for_the_next(town, bess):
    town.soon(bess.receive, letter_no(2))
    town.run(0.9 * GAP_S)
    town.soon(bess.receive, letter_no(1))
    town.soon(bess.receive, letter_no(4))
    town.run(0.9 * GAP_S)
    town.soon(bess.receive, letter_no(3))
    assert bess.values == [1, 2, 3, 4]
    assert bess.counts["lost"] == 0


def test_after_a_refused_letter_the_next_is_still_read(town, bess):
    town.soon(bess.receive, letter_no(1, performative="propose"))
    town.soon(bess.receive, letter_no(2))
    town.run(2 * GAP_S)
    assert bess.values == [2]


def test_nothing_is_read_behind_a_gap_once_the_post_is_closed(town, bess):
    town.soon(bess.receive, letter_no(2))
    bess.close()
    town.run(2 * GAP_S)
    assert bess.read == []


def test_letters_that_a_foreign_agent_does_not_number_are_each_read_once(town, bess):
    for message_id in ("a", "b", "a"):
        town.soon(bess.receive, letter_no(0, message_id=message_id))
    assert [letter.message_id for letter in bess.read] == ["a", "b"]
    assert bess.counts["duplicate"] == 1


def test_marks_are_recalled_after_a_restart(town, bess):
    bess.recall_mark("gateway@town", "abroad/gateway>bess", 2)
    for sequence in (1, 2, 3):
        town.soon(bess.receive, letter_no(sequence))
    assert bess.values == [3]
    assert bess.marks() == {("gateway@town", "abroad/gateway>bess"): 3}


def test_what_was_read_is_recognised_for_a_day(town, bess):
    town.run(WINDOW_S - 60)
    town.soon(bess.receive, asked())
    town.run(WINDOW_S)
    town.soon(bess.receive, asked())
    assert len(bess.read) == 1
    assert bess.counts["duplicate"] == 1


def test_after_two_days_a_question_is_forgotten(town, bess):
    town.soon(bess.receive, asked())
    town.run(2 * WINDOW_S + 60)
    assert bess.marks() == {}


def test_a_standing_conversation_goes_on_after_weeks_of_silence(town, bess, gateway):
    for value in range(3):
        town.soon(gateway.send, "bess@town", measured(value))
    town.run(14 * 86_400)
    town.soon(gateway.send, "bess@town", measured(3))
    assert bess.values == [0, 1, 2, 3]
    assert bess.counts["out of order"] == bess.counts["lost"] == 0


def test_a_gap_after_a_day_counts_only_what_was_missing(town, bess):
    for sequence in (1, 2, 3):
        town.soon(bess.receive, letter_no(sequence))
    town.run(WINDOW_S + 60)
    town.soon(bess.receive, letter_no(5))
    town.run(2 * GAP_S)
    assert bess.values == [1, 2, 3, 5]
    assert bess.counts["lost"] == 1


@some
@given(st.lists(st.integers(1, 12), max_size=40))
def test_whatever_comes_is_read_in_order_and_once(arrivals):
    with Town() as town:
        town.register("gateway", Role.GATEWAY)
        bess = town.mailbox("bess", Role.BESS)
        for sequence in arrivals:
            town.soon(bess.receive, letter_no(sequence))
        town.run(60)
        assert bess.values == sorted(set(arrivals))
        assert bess.counts["lost"] == max(arrivals, default=0) - len(set(arrivals))


# -- faults of a network ---------------------------------------------------------------------------


def exchange(faults, seed, number=20):
    """Let two agents tell each other `number` measurements over a bad network; return what each reads."""
    with Town(faults=faults, seed=seed) as town:
        one, other = town.mailbox("gateway", Role.GATEWAY), town.mailbox("bess", Role.BESS)
        for value in range(number):
            town.soon(one.send, "bess@town", measured(value))
            town.soon(other.send, "gateway@town", measured(value))
        town.run(60 * number)
        return one, other


PROBABILITY = st.floats(0, 1)


@some
@given(delay_s=st.floats(0, 10), loss=PROBABILITY, duplication=PROBABILITY, seed=st.integers(0, 2**32))
def test_whatever_the_network_does_letters_are_read_in_order_and_once(delay_s, loss, duplication, seed):
    faults = Faults(delay_max_s=delay_s, loss=loss, duplication=duplication)
    for reader in exchange(faults, seed):
        assert reader.values == sorted(set(reader.values))
        assert set(reader.values) <= set(range(20))


@some
@given(delay_s=st.floats(0, GAP_S - 0.1), duplication=PROBABILITY, seed=st.integers(0, 2**32))
def test_a_network_that_loses_nothing_delivers_everything(delay_s, duplication, seed):
    for reader in exchange(Faults(delay_max_s=delay_s, duplication=duplication), seed):
        assert reader.values == list(range(20))
        assert reader.counts["lost"] == 0


# -- questions and answers -------------------------------------------------------------------------


def answering(town, name, *replies):
    """Open the post of a repository that answers each letter with these (content, act)."""
    mailbox = town.mailbox(name, Role.REPOSITORY)

    def answer(letter):
        mailbox.read.append(letter)
        for content, act in replies:
            mailbox.reply(letter, content, act)

    mailbox._deliver = answer
    return mailbox


def test_a_question_is_answered_in_its_conversation(town, gateway):
    repository = answering(town, "repository", (found(4), Performative.INFORM))
    answer = town.outcome(gateway.ask("repository@town", question(), START_S + 5))
    assert answer.content == found(4)
    assert answer.in_reply_to == repository.read[0].message_id
    assert repository.read[0].reply_by_s == START_S + 5
    assert gateway.read == []


def test_an_answered_question_leaves_no_timer_behind(town, gateway):
    answering(town, "repository", (found(4), Performative.INFORM))
    town.outcome(gateway.ask("repository@town", question(), START_S + 5))
    assert gateway.counts["unanswered"] == 0
    assert gateway._inquiries == {}


@pytest.mark.parametrize(
    ("content", "act", "error"),
    [
        (Refusal(reason="not today"), Performative.REFUSE, Refused),
        (FailureReport(reason="the disk is full"), Performative.FAILURE, Failed),
        (Rejection(problems=[Problem("a", "b", "c")]), Performative.NOT_UNDERSTOOD, NotUnderstood),
    ],
    ids=["refuse", "failure", "not-understood"],
)
def test_what_the_other_side_reports_is_raised(town, gateway, content, act, error):
    answering(town, "repository", (content, act))
    with pytest.raises(error):
        town.outcome(gateway.ask("repository@town", question(), START_S + 5))


def test_an_agree_to_a_request_is_waited_through(town, gateway):
    agreed = Acknowledgement(of="it")
    answering(town, "repository", (agreed, Performative.AGREE), (found(4), Performative.INFORM))
    answer = town.outcome(gateway.ask("repository@town", question(), START_S + 5))
    assert answer.content == found(4)


def test_an_agree_alone_does_not_fulfil_a_request(town, gateway):
    answering(town, "repository", (Acknowledgement(of="it"), Performative.AGREE))
    with pytest.raises(Unavailable):
        town.outcome(gateway.ask("repository@town", question(), START_S + 5))


def test_without_an_answer_a_question_ends_at_its_deadline(town, gateway):
    town.register("repository", Role.REPOSITORY)

    async def ask_in_vain():
        with pytest.raises(Unavailable, match="repository@town: no answer in time"):
            await gateway.ask("repository@town", question(), START_S + 5)
        return town.clock.now_s()

    assert town.outcome(ask_in_vain()) == pytest.approx(START_S + 5)
    assert gateway.counts["unanswered"] == 1


def test_a_late_answer_is_dropped_and_counted(town, gateway):
    repository = town.mailbox("repository", Role.REPOSITORY)
    with pytest.raises(Unavailable):
        town.outcome(gateway.ask("repository@town", question(), START_S + 5))
    town.soon(repository.reply, repository.read[0], found(4), Performative.INFORM)
    assert gateway.counts["late"] == 1
    assert gateway.read == []


def test_a_strangers_answer_is_ignored(town, gateway):
    repository, impostor = (town.mailbox(name, Role.REPOSITORY) for name in ("repository", "impostor"))
    with pytest.raises(Unavailable):
        town.outcome(impostor_answers_first(town, gateway, repository, impostor))
    assert gateway.counts["from a stranger"] == 1


async def impostor_answers_first(town, gateway, repository, impostor):
    asking = asyncio.ensure_future(gateway.ask("repository@town", question(), START_S + 5))
    await town.clock.sleep_until(START_S + 1)
    [letter] = repository.read
    impostor.reply(letter, found(666), Performative.INFORM)
    return await asking


def test_a_second_answer_changes_nothing(town, gateway):
    answering(town, "repository", (found(1), Performative.INFORM), (found(2), Performative.INFORM))
    answer = town.outcome(gateway.ask("repository@town", question(), START_S + 5))
    assert answer.content == found(1)
    assert gateway.read == []


def test_who_closes_its_post_does_not_wait_for_answers(town, gateway):
    town.register("repository", Role.REPOSITORY)

    async def ask_and_stop():
        town.loop.call_later(1, gateway.close)
        with pytest.raises(Unavailable, match="the agent stopped"):
            await gateway.ask("repository@town", question(), START_S + 50)

    town.outcome(ask_and_stop())


def test_many_requests_in_a_standing_conversation_are_each_answered(town, gateway):
    """A `tell` that is a request is answered too: with letters of the same conversation."""
    repository = town.mailbox("repository", Role.REPOSITORY)
    for value in range(3):
        town.soon(gateway.send, "repository@town", question(), Performative.REQUEST)
        town.soon(repository.reply, repository.read[-1], found(value), Performative.INFORM)
    assert [letter.content for letter in gateway.read] == [found(0), found(1), found(2)]


def test_answers_to_requests_in_passing_are_read_after_a_restart_of_who_answers(town, gateway):
    for boot in range(3):
        repository = town.mailbox("repository", Role.REPOSITORY, run_id=f"run.{boot}")
        town.soon(gateway.send, "repository@town", question(), Performative.REQUEST)
        town.run(2 * GAP_S)
        town.soon(repository.reply, repository.read[-1], found(boot), Performative.INFORM)
        repository.close()
    assert [letter.content for letter in gateway.read] == [found(0), found(1), found(2)]


def test_question_and_answer_have_different_ids(town, gateway):
    ids = []
    town.transport = Wiretap(town.transport, lambda envelope: ids.append(envelope.message_id) or envelope)
    asker = town.mailbox("asker", Role.GATEWAY)
    answering(
        town, "repository", (Acknowledgement(of="it"), Performative.AGREE), (found(), Performative.INFORM)
    )
    town.outcome(asker.ask("repository@town", question(), START_S + 5))
    assert len(set(ids)) == len(ids) == 3


# -- errors do not echo ----------------------------------------------------------------------------


def test_an_error_is_never_answered_with_an_error(town, bess, gateway):
    town.soon(bess.receive, asked(performative="propose"))
    town.run(60)
    assert town.notebook.noted == [("parity:Query", "refused"), ("parity:Refusal", "handled")]


@pytest.mark.parametrize("act", ["refuse", "failure", "not-understood", "inform", "agree"])
def test_what_expects_no_answer_gets_none(town, bess, gateway, act):
    town.soon(bess.receive, asked(performative=act, body=b"{"))
    town.run(60)
    assert gateway.read == []


# -- what asks for a signature ---------------------------------------------------------------------

OWNER, MALLORY = Signer(bytes(range(32))), Signer(bytes(32))


def set_point(power_w=1000):
    return Instruction(
        instruction_id="i1",
        asset_id="bess",
        execution_time_s=START_S,
        valid_until_s=START_S + 900,
        setpoint_w=power_w,
    )


def instructed(town, signer, known_as=OWNER, alter=lambda envelope: envelope, sites=("", "")):
    """Let a prosumer's agent instruct a gateway, which knows the prosumer by a key; return the gateway."""
    town.transport = Wiretap(town.transport, alter)
    prosumer = town.mailbox("prosumer", Role.PROSUMER, signer=signer, site=sites[0])
    town.register("prosumer", Role.PROSUMER, signer=known_as, site=sites[0])
    gateway = town.mailbox("gateway", Role.GATEWAY, site=sites[1])
    town.soon(prosumer.send, "gateway@town", set_point(), Performative.REQUEST)
    return gateway


def test_a_signed_order_is_read(town):
    [order] = instructed(town, OWNER).read
    assert order.content == set_point()
    assert order.key_id == "prosumer@town"


def test_an_unsigned_order_is_refused(town):
    gateway = instructed(town, None)
    assert gateway.read == []
    assert gateway.counts["refused"] == 1


def test_an_order_signed_by_somebody_else_is_refused(town):
    assert instructed(town, MALLORY).read == []


def test_an_altered_order_is_refused(town):
    def hundredfold(envelope):
        return msgspec.structs.replace(envelope, body=envelope.body.replace(b"1000", b"100000"))

    assert instructed(town, OWNER, alter=hundredfold).read == []


def test_a_forged_order_does_not_take_the_place_of_the_real_one(town):
    gateway = instructed(town, OWNER, alter=lambda envelope: envelope)
    town.soon(gateway.receive, msgspec.structs.replace(gateway.read[0].envelope, sequence=2))
    assert gateway.counts["refused"] == 1
    assert gateway.marks() == {("prosumer@town", gateway.read[0].conversation): 1}


def test_within_a_site_orders_need_no_signature(town):
    gateway = instructed(town, OWNER, sites=("h001", "h001"))
    assert gateway.read[0].envelope.signature == ""


def test_another_site_cannot_do_without_a_signature(town):
    assert instructed(town, None, sites=("h002", "h001")).read == []


def test_what_asks_for_no_signature_is_read_without(town, bess, gateway):
    town.soon(gateway.send, "bess@town", measured(1))
    assert bess.read[0].envelope.signature == ""


# -- what cannot be delivered ----------------------------------------------------------------------


class Island:
    """A transport from which nothing outside can be reached."""

    def send(self, envelope):
        raise Unavailable(f"{envelope.to} is outside town")

    def deliver_to(self, address, receive): ...

    def forget(self, address): ...


class Waiting:
    """The `Barrier` port: who is waited for."""

    def __init__(self):
        self.on_their_way = []

    def sent(self, to):
        self.on_their_way.append(to)

    def handled(self, to):
        self.on_their_way.remove(to)


def test_what_the_transport_cannot_deliver_is_recorded_and_nobody_waits_for_it(town):
    town.transport, barrier = Island(), Waiting()
    gateway = town.mailbox("gateway", Role.GATEWAY, barrier=barrier)
    town.soon(gateway.send, "bess@elsewhere", measured(1))
    assert gateway.counts["undeliverable"] == 1
    assert town.notebook.noted == [("parity:Measurement", "undeliverable")]
    assert barrier.on_their_way == []


def test_nobody_waits_for_a_letter_that_the_transport_cannot_write(town):
    def unwritable(envelope):
        raise InvalidInput("XML forbids it")

    town.transport, barrier = Wiretap(town.transport, unwritable), Waiting()
    gateway = town.mailbox("gateway", Role.GATEWAY, barrier=barrier)
    with pytest.raises(InvalidInput):
        town.soon(gateway.send, "bess@town", measured(1))
    assert barrier.on_their_way == []


def test_a_question_that_cannot_be_delivered_ends_unavailable(town):
    town.transport = Island()
    gateway = town.mailbox("gateway", Role.GATEWAY)
    with pytest.raises(Unavailable):
        town.outcome(gateway.ask("repository@elsewhere", question(), START_S + 5))


def test_the_barrier_waits_until_a_letter_was_read(town):
    barrier = Waiting()
    gateway = town.mailbox("gateway", Role.GATEWAY, barrier=barrier)
    town.mailbox("bess", Role.BESS, barrier=barrier)
    town.loop.call_soon(gateway.send, "bess@town", measured(1))
    town.loop.call_soon(lambda: barrier.on_their_way.append("checked"))
    town.run()
    assert barrier.on_their_way == ["checked"]
