"""A console over a small recorded run, and people who sign in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from console_visits import SignIn
from litestar.testing import TestClient

from environments.http.access_database import AccessDatabase
from environments.http.application import application
from environments.http.console.community import AgentView, Mode
from environments.http.console.routes import CONSOLE_ROUTES
from environments.http.services import Services
from environments.repository import MemoryRepository
from environments.repository.letter_archive import LetterArchive
from environments.repository.recorder import SqliteRecorder
from ontology.errors import Refused
from ontology.letter import Envelope
from ontology.roles import Role


async def never(seconds: float) -> None:
    raise TimeoutError(seconds)


NOW_S = 1_750_000_000.0


class RecordedCommunity:
    name = "laboratory"
    mode = Mode.FINISHED

    def __init__(self, archive: LetterArchive) -> None:
        self.archive = archive

    def now_s(self) -> float:
        return NOW_S

    def agents(self) -> list[AgentView]:
        return [AgentView(address="dso@here", role=Role.DSO)]

    async def stop(self, address: str) -> None:
        raise Refused("this run is over")

    start = stop


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "messages.sqlite"
    with SqliteRecorder(path) as recorder:
        for number, (act, sender, to, secret) in enumerate(
            [
                ("cfp", "dso", "aggregator", "wanted"),
                ("propose", "aggregator", "dso", "offered"),
                ("inform", "h001-gateway", "h001-prosumer", "own"),
                ("inform", "h002-gateway", "h002-prosumer", "foreign"),
            ],
            1,
        ):
            conversation = "c1" if number < 3 else f"c{number}"
            letter = Envelope(
                act, f"{sender}@here", f"{to}@here", "parity:Lem", conversation, number, f"m{number}",
                NOW_S + number, body=b'{"secret":"%s"}' % secret.encode(),
            )  # fmt: skip
            recorder.record(letter, "handled", NOW_S + number + 0.5)
    return path


@pytest.fixture
def services(record: Path) -> Iterator[Services]:
    database = AccessDatabase()
    with LetterArchive(record) as archive:
        more = {"community": RecordedCommunity(archive), "sleep": never}
        yield Services(MemoryRepository(), database, lambda: NOW_S, more=more)
    database.close()


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    with TestClient(application(services, routes=CONSOLE_ROUTES)) as client:  # type: ignore[arg-type]
        client.follow_redirects = False
        yield client


@pytest.fixture
def signed_in(client: TestClient, services: Services) -> SignIn:
    def sign_in(role: str, *subjects: str, rights: tuple[str, ...] = ()) -> TestClient:
        token, _ = services.tokens.create(f"a {role}", role, subjects, rights=rights)
        answer = client.post("/console/sign-in", data={"token": token})
        assert answer.status_code == 303
        return client

    return sign_in
