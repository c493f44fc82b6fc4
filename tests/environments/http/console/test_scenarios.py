"""The page of simulations: who sees it, what a form may ask for, what comes back."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from console_visits import SignIn

from environments.http.console.sessions import COOKIE, SIGN_HEADER, sign_of
from environments.http.console.simulations import RunView, SimulationState, SimulationView
from environments.http.services import Services
from ontology.errors import InvalidInput, problem

RUN = RunView(
    name="day-001", scenario="day", seed=7, mode="offline", is_complete=True, intervals_done=4, intervals=4,
    letters=90, has_report=True,
)  # fmt: skip


class Shelf:
    """The `Simulations` port with one run, which notes what it is asked to start."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[tuple[str, Mapping[str, int]]] = []
        self._report = folder / "report.html"
        self._report.write_text("<html><body>the report</body></html>")

    def scenarios(self) -> Sequence[str]:
        return ["day"]

    def started(self) -> Sequence[SimulationView]:
        return [
            SimulationView(
                number=n, scenario=name, seed=None, run=f"{name}-{n}", state=SimulationState.RUNNING,
                interval=1, intervals=4,
            )
            for n, (name, _) in enumerate(self.asked, 1)
        ]  # fmt: skip

    def runs(self) -> Sequence[RunView]:
        return [RUN]

    def start(self, scenario: str, settings: Mapping[str, int]) -> SimulationView:
        self.asked.append((scenario, settings))
        return self.started()[-1]

    def stop(self, number: int) -> SimulationView:
        return self.started()[number - 1]

    def report(self, run: str) -> Path:
        if run != RUN.name:
            raise InvalidInput(problem("run", run, "the name of a run folder"))
        return self._report

    async def compared(self, runs: Sequence[str]) -> Sequence[tuple[str, Sequence[str], str]]:
        return [("Traded locally", ["1.0 kWh" for _ in runs], "inside the community")]


@pytest.fixture
def shelf(services: Services, tmp_path: Path) -> Shelf:
    shelf = services.more["simulations"] = Shelf(tmp_path)
    return shelf


def started(client, **form: str):
    headers = {SIGN_HEADER: sign_of(client.cookies[COOKIE])}
    return client.post("/console/scenarios/start", data=form, headers=headers)


def test_a_simulation_is_started_and_watched(signed_in: SignIn, shelf: Shelf) -> None:
    client = signed_in("dso")
    answer = started(client, scenario="day", seed="3", intervals="")
    assert shelf.asked == [("day", {"seed": 3})]
    assert 'value="1"' in answer.text
    assert "every 1s" in client.get("/console/scenarios/started").text


def test_all_that_is_wrong_with_a_form_is_said_and_nothing_started(signed_in: SignIn, shelf: Shelf) -> None:
    answer = started(signed_in("dso"), scenario="day", seed="x", intervals="-1")
    assert answer.status_code == 422
    assert "seed" in answer.text
    assert "intervals" in answer.text
    assert shelf.asked == []


def test_a_change_without_the_sessions_sign_is_refused(signed_in: SignIn, shelf: Shelf) -> None:
    assert signed_in("dso").post("/console/scenarios/start", data={"scenario": "day"}).status_code == 403
    assert shelf.asked == []


def test_runs_are_compared_and_reports_can_do_nothing(signed_in: SignIn, shelf: Shelf) -> None:
    client = signed_in("aggregator")
    assert "1.0 kWh" in client.get("/console/runs/compare?run=day-001").text
    report = client.get("/console/runs/day-001/report")
    assert "the report" in report.text
    assert "sandbox" in report.headers["content-security-policy"]
    assert client.get("/console/runs/..%2Fother/report").status_code in (404, 422)


@pytest.mark.parametrize(
    "path",
    ["scenarios", "scenarios/started", "runs/compare?run=day-001", "runs/day-001/report"],
)
def test_a_prosumer_sees_nothing_of_runs(signed_in: SignIn, shelf: Shelf, path: str) -> None:
    client = signed_in("prosumer", "h001")
    assert client.get(f"/console/{path}").status_code == 403
    assert "/console/scenarios" not in client.get("/console/").text
    assert started(client, scenario="day").status_code == 403


def test_where_nothing_can_be_started_there_is_no_page(signed_in: SignIn) -> None:
    client = signed_in("dso")
    assert "/console/scenarios" not in client.get("/console/").text
    assert client.get("/console/scenarios").status_code == 404
