"""Sites in the console: what was measured and is expected; nobody sees another's."""

import asyncio

import pytest
from console_visits import SignIn

from environments.http.console.community import AgentView
from environments.http.services import Services
from ontology.forecasts import Forecast, ForecastKind
from ontology.measurements import IntervalReading
from ontology.roles import Role

START_S = 1_749_999_600


@pytest.fixture(autouse=True)
def two_sites(services: Services) -> None:
    agents = [
        AgentView(address=f"{site}-gateway@here", role=Role.GATEWAY, site=site) for site in ("h001", "h002")
    ]
    services.more["community"].agents = lambda: agents
    facts = [
        IntervalReading(
            subject=site, start_s=START_S, consumed_wh=250, produced_wh=0, consumed_w=1000, produced_w=0
        )
        for site in ("h001", "h002")
    ]
    ahead = Forecast(
        subject="h001", kind=ForecastKind.NET, issued_at_s=START_S, start_s=START_S + 900, power_w=[500, 700]
    )
    asyncio.run(services.repository.store([*facts, ahead]))


def test_a_site_is_shown_with_what_was_measured_and_what_is_expected(signed_in: SignIn) -> None:
    client = signed_in("aggregator")
    assert client.get("/console/sites").text.count('href="/console/sites/') == 2
    course = client.get("/console/sites/h001/course").json()["data"]
    assert course["times"] == [START_S, START_S + 900, START_S + 1800]
    assert [one["values"] for one in course["series"]] == [[1000.0, None, None], [None, 500.0, 700.0]]


@pytest.mark.parametrize("path", ["/console/sites/h002", "/console/sites/h002/course"])
def test_a_prosumer_finds_its_own_site_only(signed_in: SignIn, path: str) -> None:
    client = signed_in("prosumer", "h001")
    assert "h002" not in client.get("/console/sites").text
    assert client.get("/console/sites/h001").status_code == 200
    assert client.get(path).status_code == 404


def test_who_may_not_read_meters_is_refused(signed_in: SignIn) -> None:
    client = signed_in("market-operator")
    assert client.get("/console/sites").status_code == 403
    assert "/console/sites" not in client.get("/console/").text
