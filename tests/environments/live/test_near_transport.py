"""Letters inside a host do not need the link."""

import asyncio

import pytest
from post_office import letter_no

from environments.live.near import NearTransport
from ontology.errors import Unavailable


class Cut:
    """A link that is cut: it takes nothing, and notes what it was asked."""

    def __init__(self):
        self.receivers = {}

    def send(self, envelope):
        raise Unavailable("no link")

    def deliver_to(self, address, receive):
        self.receivers[address] = receive

    def forget(self, address):
        del self.receivers[address]

    def connected(self, address):
        return False

    def on_change(self, address, changed):
        self.changed = changed


def run(scene):
    async def played():
        far = Cut()
        near = NearTransport(far, lambda address: address.startswith("h001-"))
        scene(near, far)
        await asyncio.sleep(0)  # noqa: TID251 - a turn of a real loop
        return near

    return asyncio.run(played())


LETTERS = [letter_no(number, to="h001-gateway@street") for number in (1, 2, 3)]


def test_letters_to_an_agent_of_the_host_arrive_in_order_though_the_link_is_cut():
    read = []

    def scene(near, far):
        near.deliver_to("h001-gateway@street", read.append)
        for letter in LETTERS:
            near.send(letter)
        assert read == []

    near = run(scene)
    assert read == LETTERS
    assert near.counts["near"] == 3


def test_a_letter_to_somebody_else_takes_the_link():
    def scene(near, far):
        with pytest.raises(Unavailable, match="no link"):
            near.send(letter_no(1, to="market@street"))

    assert run(scene).counts["far"] == 1


def test_what_comes_by_the_link_reaches_the_same_agent():
    read = []

    def scene(near, far):
        near.deliver_to("h001-gateway@street", read.append)
        far.receivers["h001-gateway@street"](LETTERS[0])

    run(scene)
    assert read == LETTERS[:1]


def test_a_letter_to_an_agent_that_has_gone_is_counted():
    def scene(near, far):
        near.deliver_to("h001-gateway@street", lambda letter: None)
        near.forget("h001-gateway@street")
        near.send(LETTERS[0])

    assert run(scene).counts["undelivered"] == 1
