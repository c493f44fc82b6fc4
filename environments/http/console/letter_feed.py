"""Newest letters for pages that stay open: rendered once for all who look at the same, once a second."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from environments.http.console.pages import fragment
from environments.http.console.sequence_diagram import breaches_among
from environments.repository.letter_archive import LetterArchive, LetterSelection, RecordedLetter

__all__ = ["LetterFeed", "rendered"]

EVERY_S = 1.0
NEWEST = 60
MOST_RENDERED = 64
SILENCES = 20
"""Looks without news before a sign of life is sent, so that nothing on the way hangs up."""


class LetterFeed:
    """The newest letters of every selection that somebody looks at.

    However many letters come, a page gets at most 60 a second, the newest; what it missed is in the record.

    Args: sleep: waits for real seconds.
    """

    def __init__(self, archive: LetterArchive, sleep: Callable[[float], Awaitable[None]]) -> None:
        self.archive = archive
        self._sleep = sleep
        self._rendered: OrderedDict[tuple[LetterSelection, bool], tuple[int, str]] = OrderedDict()

    def rows(self, wanted: LetterSelection, bodies: bool) -> tuple[int, str]:
        """Return the number of the newest letter recorded, and the newest that match as rows of a table."""
        newest = self.archive.newest_number()
        known = self._rendered.get((wanted, bodies))
        if known is None or known[0] != newest:
            letters = self.archive.select(wanted, limit=NEWEST)
            known = (newest, rendered(self.archive, letters, bodies))
            self._rendered[wanted, bodies] = known
        self._rendered.move_to_end((wanted, bodies))
        while len(self._rendered) > MOST_RENDERED:
            self._rendered.popitem(last=False)
        return known

    async def replay(
        self, wanted: LetterSelection, bodies: bool, start_s: float, speed: float
    ) -> AsyncIterator[str]:
        """Yield server-sent events as the record went, from a time on, so many times as fast, to its end."""
        time_s, (_, end_s) = start_s, self.archive.span_s()
        while True:
            before = self.archive.number_at(time_s) + 1
            letters = self.archive.select(wanted, before=before, limit=NEWEST)
            yield _event("time", f"{time_s:.0f}")
            yield _event("letters", rendered(self.archive, letters, bodies))
            if time_s > end_s:
                yield _event("end", "")
                return
            await self._sleep(EVERY_S)
            time_s += speed * EVERY_S

    async def follow(self, wanted: LetterSelection, bodies: bool) -> AsyncIterator[str]:
        """Yield server-sent events with rows whenever they have changed, until the reader goes."""
        shown, silences = "", 0
        while True:
            _, html = self.rows(wanted, bodies)
            if html != shown:
                shown, silences = html, 0
                yield _event("letters", html)
            elif (silences := silences + 1) >= SILENCES:
                silences = 0
                yield ": still here\n\n"
            await self._sleep(EVERY_S)


def rendered(archive: LetterArchive, letters: Sequence[RecordedLetter], bodies: bool) -> str:
    """Return letters as rows of a table, with what their protocols do not allow marked."""
    wrong = breaches_among(letters, archive.beside(letters))
    return fragment("letter_rows.html", letters=letters, bodies=bodies, breaches=wrong)


def _event(name: str, data: str) -> str:
    lines = "".join(f"data: {line}\n" for line in data.splitlines())
    return f"event: {name}\n{lines}\n"
