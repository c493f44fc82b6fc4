"""A conversation as a sequence diagram: a lifeline an agent, an arrow a letter; plain SVG."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from itertools import pairwise

from behaviours.protocols.conformance import Said, violations_of
from environments.repository.letter_archive import RecordedLetter
from ontology.performatives import Performative

__all__ = ["breaches", "breaches_among", "sequence_diagram"]

TIME_WIDTH, LANE_WIDTH, LANE_LEAST = 92, 190, 40
HEAD_HEIGHT, ROW_HEIGHT, MARGIN = 46, 34, 14
NAME_LENGTH = 24
HANDLED = "handled"
STANDING = ">"
"""In the id of a conversation without an end."""
ACTS = frozenset(Performative)
STYLE = """
.sequence { font: 12px system-ui, sans-serif; color: #1b2733; background: #fff }
.sequence text { fill: currentColor } .sequence line { stroke: currentColor }
.sequence .life { stroke-width: 1; stroke-dasharray: 2 4; opacity: .5 }
.sequence .arrow { stroke-width: 1.4 } .sequence .time { opacity: .65; font-size: 11px }
.sequence .head { font-weight: 600 } .sequence .type { opacity: .75; font-size: 11px }
.sequence .wrong { color: #b3261e } .sequence .lost .arrow { stroke-dasharray: 5 4 }
@media (prefers-color-scheme: dark) {
  .sequence { color: #dbe4ec; background: #14191f } .sequence .wrong { color: #ff8a80 }
}
"""


def breaches(letters: Sequence[RecordedLetter]) -> dict[int, str]:
    """Return which letters of a conversation its protocol does not allow, by number, and what it would have.

    Only conversations of two are checked: a letter to many is one conversation with each.
    """
    said = [
        Said(e.message_id, e.sender, Performative(e.performative), e.in_reply_to)
        for e in (letter.envelope for letter in letters)
        if e.performative in ACTS
    ]
    if len(said) != len(letters) or len({side for letter in letters for side in _sides(letter)}) > 2:
        return {}
    return {
        letters[violation.place - 1].number: " or ".join(violation.allowed) or "nothing more"
        for violation in violations_of(said)
        if violation.place <= len(letters)
    }


def breaches_among(letters: Sequence[RecordedLetter], beside: Sequence[RecordedLetter]) -> dict[int, str]:
    """Return which of some letters of many conversations their protocols do not allow, as `breaches` does.

    Args: beside: letters of the same conversations, oldest first. A conversation whose beginning is not among
        them is not judged, nor what agents tell each other over and over.
    """
    by_conversation: dict[str, list[RecordedLetter]] = {}
    for letter in beside:
        if STANDING not in letter.envelope.conversation:
            by_conversation.setdefault(letter.envelope.conversation, []).append(letter)
    whole = [each for each in by_conversation.values() if not each[0].envelope.in_reply_to]
    found = {number: why for conversation in whole for number, why in breaches(conversation).items()}
    return {letter.number: found[letter.number] for letter in letters if letter.number in found}


def sequence_diagram(letters: Sequence[RecordedLetter]) -> str:
    """Return the letters of a conversation as an SVG document, in the order given.

    Agents stand in the order in which they speak or are spoken to. A letter that was not handled is dashed
    and says why; one that its protocol does not allow says what would have been.
    """
    agents = list(dict.fromkeys(side for letter in letters for side in _sides(letter)))
    lanes = {agent: TIME_WIDTH + LANE_LEAST + LANE_WIDTH * i for i, agent in enumerate(agents)}
    width = TIME_WIDTH + 2 * LANE_LEAST + LANE_WIDTH * max(1, len(agents)) - (LANE_WIDTH - 2 * MARGIN)
    height = HEAD_HEIGHT + ROW_HEIGHT * len(letters) + MARGIN
    wrong = breaches(letters)
    parts = [_head(agent, x, height) for agent, x in lanes.items()]
    parts += [_row(letter, lanes, place, wrong.get(letter.number)) for place, letter in enumerate(letters)]
    parts += [_pause(gap_s, place) for place, gap_s in _pauses(letters)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="sequence" role="img"'
        f' width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"<title>{escape(_summary(letters, agents))}</title>"
        f"<style>{STYLE}</style>{_ARROWHEAD}{''.join(parts)}</svg>"
    )


_ARROWHEAD = (
    '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
    '<path d="M0 0 8 4 0 8z" fill="context-stroke"/></marker></defs>'
)


def _sides(letter: RecordedLetter) -> tuple[str, str]:
    return letter.envelope.sender, letter.envelope.to


def _summary(letters: Sequence[RecordedLetter], agents: Sequence[str]) -> str:
    if not letters:
        return "a conversation without letters"
    return f"{len(letters)} letters between {', '.join(_name(agent) for agent in agents)}"


def _name(address: str) -> str:
    name = address.partition("@")[0] or address
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"


def _head(agent: str, x: int, height: int) -> str:
    return (
        f"<g><title>{escape(agent)}</title>{_text('head', x, 22, _name(agent), 'middle')}"
        f'<line class="life" x1="{x}" y1="30" x2="{x}" y2="{height - MARGIN}"/></g>'
    )


def _row(letter: RecordedLetter, lanes: dict[str, int], place: int, allowed: str | None) -> str:
    """Draw one letter: its time, its arrow, its act and its type."""
    envelope, y = letter.envelope, HEAD_HEIGHT + ROW_HEIGHT * place + 20
    start, end = lanes[envelope.sender], lanes[envelope.to]
    classes = " ".join(
        name for name, holds in (("wrong", allowed is not None), ("lost", letter.outcome != HANDLED)) if holds
    )
    what = _short(envelope.message_type) + _remark(letter, allowed)
    return (
        f'<g class="{classes or "fine"}" data-letter="{letter.number}">'
        f"<title>{escape(_title(letter, allowed))}</title>"
        f"{_text('time', TIME_WIDTH - 8, y + 4, _clock(letter.time_s), 'end')}{_arrow(start, end, y)}"
        f'<text x="{_middle(start, end)}" y="{y - 5}" text-anchor="middle">{escape(envelope.performative)}'
        f' <tspan class="type">{escape(what)}</tspan></text></g>'
    )


def _text(css: str, x: int, y: int, text: str, anchor: str) -> str:
    return f'<text class="{css}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _arrow(start: int, end: int, y: int) -> str:
    if start == end:
        path = f"M{start} {y} h30 v10 h-30"
        return f'<path class="arrow" d="{path}" fill="none" stroke="currentColor" marker-end="url(#tip)"/>'
    tip = end - 1 if end > start else end + 1
    return f'<line class="arrow" x1="{start}" y1="{y}" x2="{tip}" y2="{y}" marker-end="url(#tip)"/>'


def _middle(start: int, end: int) -> int:
    return (start + end) // 2 if start != end else start + LANE_WIDTH // 2


def _short(message_type: str) -> str:
    return message_type.rpartition(":")[2]


def _remark(letter: RecordedLetter, allowed: str | None) -> str:
    remarks = [letter.outcome] if letter.outcome != HANDLED else []
    if allowed is not None:
        remarks.append(f"allowed: {allowed}")
    return f" ({'; '.join(remarks)})" if remarks else ""


def _title(letter: RecordedLetter, allowed: str | None) -> str:
    envelope = letter.envelope
    lines = [
        f"{envelope.sender} → {envelope.to}",
        f"{envelope.performative} {envelope.message_type}{_remark(letter, allowed)}",
        f"{letter.latency_s:.3f} s on its way",
        envelope.body.decode("utf-8", "replace")[:600],
    ]
    return "\n".join(lines)


def _clock(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%H:%M:%S.%f")[:-3]


def _pauses(letters: Sequence[RecordedLetter]) -> list[tuple[int, float]]:
    """Return after which letters nothing was said for a minute or more, and how long."""
    gaps = [(place, second.time_s - first.time_s) for place, (first, second) in enumerate(pairwise(letters))]
    return [(place, gap_s) for place, gap_s in gaps if gap_s >= 60]


def _pause(gap_s: float, place: int) -> str:
    y = HEAD_HEIGHT + ROW_HEIGHT * (place + 1) + 2
    return _text("time", TIME_WIDTH - 8, y, f"⋮ {gap_s / 60:.0f} min", "end")
