"""What is told to the repository is kept until the repository has it."""

import pytest

from behaviours.site.contacts import SiteContacts
from behaviours.site.fact_reporting import FactReporting
from behaviours.site.prosumer_settings import ProsumerSettings
from ontology.discourse import Acknowledgement
from ontology.forecasts import Forecast, ForecastKind
from ontology.measurements import Measurement, Quantity
from ontology.performatives import Performative
from ontology.roles import Role

SETTINGS = ProsumerSettings(
    site="h001",
    segment_id="f1",
    contacts=SiteContacts(repository="repository@town"),
    import_max_w=1,
    export_max_w=1,
    usual_load_w=(0,) * 96,
)


@pytest.fixture
def repository(town):
    return town.mailbox("repository", Role.REPOSITORY)


@pytest.fixture
def prosumer(town):
    agent = town.agent("prosumer", Role.PROSUMER, FactReporting, settings=SETTINGS, site="h001")
    yield agent
    agent.kill()
    town.run(1)


def forecast(start_s: int) -> Forecast:
    return Forecast(
        subject="h001", kind=ForecastKind.NET, issued_at_s=start_s, start_s=start_s, power_w=[0] * 96
    )


def told(repository):
    """Return what has arrived since the last look."""
    letters = list(repository.read)
    repository.read.clear()
    return letters


def acknowledge(town, repository, letter):
    town.soon(repository.reply, letter, Acknowledgement(of=letter.message_id), Performative.INFORM)


def test_what_is_not_acknowledged_is_told_again_each_quarter_of_an_hour(town, repository, prosumer):
    report = prosumer.behaviour(FactReporting).report
    town.soon(report, forecast(900))
    town.soon(report, Measurement(subject="h001", quantity=Quantity.VOLTAGE_V, time_s=7, value=230.0))
    first, _ = told(repository)
    acknowledge(town, repository, first)
    town.run(900)
    (again,) = told(repository)
    assert again.content.time_s == 7
    acknowledge(town, repository, again)
    town.run(1_800)
    assert told(repository) == []


def test_an_answer_to_an_older_forecast_does_not_let_go_of_the_newer(town, repository, prosumer):
    report = prosumer.behaviour(FactReporting).report
    town.soon(report, forecast(900))
    (older,) = told(repository)
    town.soon(report, forecast(1_800))
    told(repository)
    acknowledge(town, repository, older)
    town.run(900)
    assert [letter.content for letter in told(repository)] == [forecast(1_800)]
