"""The message inspector: filters, conversations, and what each role may see."""

import asyncio
import json
from pathlib import Path

from console_visits import SignIn

from environments.http.console.letter_feed import LetterFeed
from environments.http.services import Services
from environments.repository.letter_archive import LetterArchive, LetterSelection
from environments.repository.recorder import SqliteRecorder
from ontology.letter import Envelope

NOW_S = 1_750_000_000.0


def test_letters_are_listed_and_filtered(signed_in: SignIn) -> None:
    client = signed_in("market-operator")
    assert client.get("/console/letters").text.count("data-number") == 4
    assert client.get("/console/letters?act=cfp&agent=dso").text.count("data-number") == 1
    assert "No letters match" in client.get("/console/letters?words=nowhere").text
    assert client.get("/console/letters/rows?before=3").text.count("data-number") == 2
    assert client.get("/console/letters?slower_than_s=soon").status_code == 422


def test_a_conversation_is_drawn_with_what_its_protocol_forbids(signed_in: SignIn) -> None:
    page = signed_in("dso").get("/console/conversations", params={"id": "c1"}).text
    assert page.count('class="arrow"') == 2
    assert "not as the protocol wants" not in page


def test_bodies_need_a_right_of_their_own(signed_in: SignIn) -> None:
    client = signed_in("market-operator")
    assert "wanted" not in client.get("/console/letters/1").text
    assert "wanted" not in client.get("/console/conversations", params={"id": "c1"}).text
    assert "wanted" not in client.get("/console/letters/export").text
    client = signed_in("market-operator", rights=("bodies",))
    assert "wanted" in client.get("/console/letters/1").text


def test_a_prosumer_sees_its_own_letters_only_by_whatever_route(signed_in: SignIn) -> None:
    client = signed_in("prosumer", "h001")
    for path in ("/console/letters", "/console/letters/rows", "/console/letters/export"):
        text = client.get(path).text
        assert "h001-gateway" in text
        assert "h002" not in text
        assert "aggregator" not in text
    assert "own" in client.get("/console/letters/3").text
    assert client.get("/console/letters/4").status_code == 422
    assert client.get("/console/letters?agent=h002").status_code == 422
    assert client.get("/console/conversations", params={"id": "c4"}).status_code == 422
    assert client.get("/console/letters?words=foreign").text.count("data-number") == 0


def test_an_export_is_one_object_a_line_oldest_first(signed_in: SignIn) -> None:
    client = signed_in("market-operator", rights=("bodies",))
    lines = [json.loads(line) for line in client.get("/console/letters/export").text.splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3, 4]
    assert lines[0]["body"] == '{"secret":"wanted"}'


def test_a_letter_is_shown_as_the_stanza_that_carries_it(signed_in: SignIn) -> None:
    page = signed_in("dso", rights=("bodies",)).get("/console/letters/1").text
    assert "&lt;message to=" in page
    assert "&lt;field var=&#34;performative&#34;" in page
    hidden = signed_in("dso").get("/console/letters/1").text
    assert "&lt;body&gt;&lt;/body&gt;" in hidden.replace("\n", "")


def test_what_a_protocol_does_not_allow_is_marked_in_the_list(signed_in: SignIn, record: Path) -> None:
    with SqliteRecorder(record) as recorder:
        for number, (act, sender, to) in enumerate(
            [("request", "dso", "market"), ("propose", "market", "dso")], 11
        ):
            letter = Envelope(
                act, f"{sender}@here", f"{to}@here", "parity:Lem", "dso@here?9", number, f"m{number}", NOW_S,
                in_reply_to="" if number == 11 else "m11", body=b"{}",
            )  # fmt: skip
            recorder.record(letter, "handled", NOW_S + number)
    text = signed_in("dso").get("/console/letters").text
    assert text.count("not allowed") == 1
    assert "the protocol allows" in text


def test_a_record_is_replayed_in_the_order_of_its_time(services: Services, record: Path) -> None:
    async def replayed() -> list[str]:
        async def at_once(seconds: float) -> None:
            pass

        with LetterArchive(record) as archive:
            feed = LetterFeed(archive, at_once)
            events = feed.replay(LetterSelection(), False, NOW_S, 1.0)
            return [event async for event in events if event.startswith("event: letters")]

    shown = [event.count("data-number") for event in asyncio.run(replayed())]
    assert shown == sorted(shown)
    assert (shown[0], shown[-1]) == (0, 4)
    assert len(set(shown)) == 5


def test_a_replay_says_what_is_wrong_with_its_times(signed_in: SignIn) -> None:
    answer = signed_in("dso").get("/console/letters?speed=fast&start=noon")
    assert answer.status_code == 422
    assert "speed" in answer.text
    assert "start" in answer.text
