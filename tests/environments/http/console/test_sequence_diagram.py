"""Conversations as pictures: lifelines in order of appearance, arrows, and what went wrong."""

from xml.etree import ElementTree

from environments.http.console.sequence_diagram import breaches, sequence_diagram
from environments.repository.letter_archive import RecordedLetter
from ontology.letter import Envelope

SVG = "{http://www.w3.org/2000/svg}"


def said(
    number: int, act: str, sender: str, to: str, outcome: str = "handled", **more: object
) -> RecordedLetter:
    envelope = Envelope(
        act, f"{sender}@here", f"{to}@here", "uftp:FlexOffer", "c1", number, f"m{number}", 100.0 * number,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip
    return RecordedLetter(number, 100.0 * number + 0.25, outcome, envelope)


NEGOTIATION = [
    said(1, "cfp", "dso", "aggregator"),
    said(2, "propose", "aggregator", "dso"),
    said(3, "accept-proposal", "dso", "aggregator"),
    said(4, "inform", "aggregator", "dso"),
]


def words(diagram: str) -> list[str]:
    return [text.strip() for text in ElementTree.fromstring(diagram).itertext() if text.strip()]


def test_every_agent_has_a_lifeline_and_every_letter_an_arrow() -> None:
    drawn = ElementTree.fromstring(sequence_diagram(NEGOTIATION))
    assert len(drawn.findall(f".//{SVG}line[@class='life']")) == 2
    assert len(drawn.findall(f".//{SVG}line[@class='arrow']")) == 4
    assert [text for text in words(sequence_diagram(NEGOTIATION)) if text in ("cfp", "propose")] == [
        "cfp",
        "propose",
    ]


def test_a_letter_that_the_protocol_does_not_allow_is_marked() -> None:
    wrong = [*NEGOTIATION[:1], said(2, "accept-proposal", "dso", "aggregator")]
    assert list(breaches(wrong)) == [2]
    drawn = ElementTree.fromstring(sequence_diagram(wrong))
    assert [g.get("data-letter") for g in drawn.findall(f".//{SVG}g[@class='wrong']")] == ["2"]
    assert breaches(NEGOTIATION) == {}


def test_a_letter_that_was_turned_away_says_why() -> None:
    lost = [said(1, "request", "h1-prosumer", "dso", outcome="refused: not a member")]
    assert any("refused: not a member" in text for text in words(sequence_diagram(lost)))
    assert ElementTree.fromstring(sequence_diagram(lost)).find(f".//{SVG}g[@class='lost']") is not None


def test_what_agents_say_cannot_break_out_of_the_picture() -> None:
    nasty = said(1, "inform", "<script>", 'a"b', body=b"</title><script>alert(1)</script>")
    drawn = ElementTree.fromstring(sequence_diagram([nasty]))
    assert drawn.find(f".//{SVG}script") is None
    assert drawn.find(".//script") is None


def test_letters_to_oneself_pauses_and_nothing_at_all_can_be_drawn() -> None:
    assert "⋮ 2 min" in words(sequence_diagram(NEGOTIATION))
    assert ElementTree.fromstring(sequence_diagram([said(1, "inform", "dso", "dso")])) is not None
    assert "a conversation without letters" in words(sequence_diagram([]))
