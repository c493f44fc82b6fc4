"""An offline run whose every letter is at hand, beside the community itself."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from launch.offline import OfflineCommunity
from launch.results import completed, run_tables
from launch.scenario import Scenario, intervals_of
from launch.tables import RunTables
from ontology.base import Concept
from ontology.codec import decode_body
from ontology.discourse import Query, QueryResult
from ontology.letter import Envelope
from ontology.performatives import Performative


class Noted(NamedTuple):
    """A letter, what became of it, and when."""

    envelope: Envelope
    outcome: str
    time_s: float

    @property
    def content(self) -> Concept:
        return decode_body(self.envelope.message_type, self.envelope.body)


class Notebook:
    """The `Recorder` port in memory."""

    def __init__(self) -> None:
        self.letters: list[Noted] = []

    def record(self, envelope: Envelope, outcome: str, time_s: float) -> None:
        self.letters.append(Noted(envelope, outcome, time_s))

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


class RecordedRun:
    """A community in virtual time with its letters; `run` goes to the end."""

    def __init__(self, scenario: Scenario) -> None:
        self.notebook = Notebook()
        self.scenario = scenario
        self.offline = OfflineCommunity(scenario, recorder=self.notebook)
        self.world, self.community = self.offline.world, self.offline.community
        self.intervals_done = 0
        self.is_over = False
        self._tables: RunTables | None = None

    def step(self, intervals: int = 1) -> "RecordedRun":
        for _ in range(intervals):
            self.offline.step()
            self.intervals_done += 1
        return self

    def run(self) -> "RecordedRun":
        self.step(intervals_of(self.scenario) - self.intervals_done)
        self.offline.settle()
        self.offline.close()
        self.is_over = True
        return self

    def tables(self) -> RunTables:
        """Return the tables of what has happened so far; those of the whole run are made once."""
        if self._tables is None:
            made = completed(run_tables(self.community)).checked()
            self._tables = made if self.is_over else None
            return made
        return self._tables

    def noted(self, kind: type[Concept], sender: str = "", to: str = "") -> Iterator[Noted]:
        """Yield the letters of a type that were read, of some sender or to some recipient (`h001-oracle`)."""
        tag = f"{kind.__struct_config__.tag}"
        for each in self.notebook.letters:
            letter = each.envelope
            if (
                letter.message_type == tag
                and each.outcome == "handled"
                and sender in ("", letter.sender.partition("@")[0])
                and to in ("", letter.to.partition("@")[0])
            ):
                yield each

    def contents(self, kind: type[Concept], sender: str = "", to: str = "") -> list[Any]:
        """Return what such letters say."""
        return [each.content for each in self.noted(kind, sender, to)]

    def balances(self) -> dict[str, int]:
        """Return the tokens of every account, by the name that a reader knows."""
        accounts = self.community.cast.accounts
        held = completed(self.community.ground.ledger.balances(list(accounts)))
        return {accounts[account]: tokens for account, tokens in held.items()}

    def asked(self, asker: str, of: str, query: Query) -> list[Any]:
        """Let an agent ask another, within the interval that has begun, and return what it was told."""
        agent = self.community.agents[f"{asker}@localhost"]
        answers: list[QueryResult] = []

        async def ask() -> None:
            found = await agent.ask(f"{of}@localhost", query, QueryResult, act=Performative.QUERY_REF)
            answers.append(found)

        self.offline.loop.call_soon(lambda: agent.spawn(ask()))
        self.offline.clock.advance_to(self.offline.clock.now_s() + 5)
        return list(answers[0].items)

    def sent_by(self, suffix: str) -> Iterable[Envelope]:
        """Return everything that agents sent whose names end like this (`-oracle`)."""
        return [
            each.envelope
            for each in self.notebook.letters
            if each.envelope.sender.partition("@")[0].endswith(suffix)
        ]
