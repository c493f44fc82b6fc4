"""What a prosumer expects its site to draw, once it has lived there for a while."""

import numpy as np
import pytest
from post_office import Town

from behaviours.decisions.forecasters.load_record import LoadRecord, better_model
from behaviours.decisions.forecasters.past_days import LAG_DAYS
from behaviours.decisions.forecasting import LoadHistory, load_outlook
from behaviours.site.contacts import SiteContacts
from behaviours.site.load_forecasting import LoadForecasting
from behaviours.site.prosumer_settings import ProsumerSettings
from ontology.measurements import Measurement, Quantity
from ontology.roles import Role

MONDAY_S = 1_704_067_200
A_DAY = 96
USUAL_W = tuple(int(watts) for watts in 400 + 200 * np.sin(np.arange(A_DAY) / A_DAY * 2 * np.pi))


def load_of(days):
    """A household that draws more at weekends, and a lot now and then."""
    rng = np.random.default_rng(4)
    level = np.where(np.arange(days) % 7 >= 5, 2.5, 1.0)
    return (level[:, None] * USUAL_W).ravel() + 1_000.0 * (rng.random(days * A_DAY) < 0.1)


@pytest.fixture
def forecasting():
    """Return the behaviour of a prosumer that knows nothing but its usual profile."""
    contacts = SiteContacts(**dict.fromkeys(("gateway", "prosumer", "oracle", "blockchain"), "a@town"))
    settings = ProsumerSettings(
        site="h001",
        segment_id="feeder-1",
        contacts=contacts,
        import_max_w=43_000,
        export_max_w=43_000,
        usual_load_w=USUAL_W,
    )
    with Town() as town:
        agent = town.agent("h001", Role.PROSUMER, LoadForecasting, settings=settings)
        yield agent.behaviour(LoadForecasting)


def lived(forecasting, power_w):
    for number, watts in enumerate(power_w):
        measured = Measurement(
            subject="h001",
            quantity=Quantity.ACTIVE_POWER_W,
            time_s=MONDAY_S + 900 * number,
            value=float(watts),
        )
        forecasting.learn(measured, None)
    return MONDAY_S + 900 * len(power_w)


def test_in_its_first_weeks_a_site_expects_the_median(forecasting):
    power_w = load_of(18)
    now_s = lived(forecasting, power_w)
    history = LoadHistory.of((MONDAY_S + 900 * i, float(w)) for i, w in enumerate(power_w))
    assert forecasting.outlook_w(now_s) == load_outlook(history, now_s, np.array(USUAL_W)).power_w.tolist()


def test_after_three_weeks_it_expects_what_the_better_model_says(forecasting):
    power_w = load_of(26)
    now_s = lived(forecasting, power_w)
    record = LoadRecord.empty()
    for number, watts in enumerate(power_w):
        record = record.after(MONDAY_S + 900 * number, float(watts))
    model, week = better_model(record, now_s), record.before(now_s, LAG_DAYS)
    assert forecasting.outlook_w(now_s) == np.rint(model.forecast(week).expected_w).astype(int).tolist()
    saturday = np.mean(forecasting.outlook_w(now_s))
    assert saturday > 1.7 * np.mean(USUAL_W)
