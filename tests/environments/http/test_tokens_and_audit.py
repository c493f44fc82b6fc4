"""Who is let in, how often, and what is written down of it."""

import logging
import sqlite3

import pytest
import sqlalchemy as sa
from interface_house import API, READINGS, House, faults, reading

from environments.http.access_database import AccessDatabase
from environments.http.tables import audit, tokens
from environments.http.tokens import TokenStore
from environments.simulation.clock import WallClock
from ontology.errors import InvalidInput

WHOAMI = f"{API}/whoami"
DAY_S = 86_400


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer pm_wrong"}, {"Authorization": "Basic x"}])
def test_without_a_good_token_nobody_is_let_in(house, headers):
    answer = house.call("GET", WHOAMI, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["status"] == "failed"


def test_a_token_tells_what_it_grants_and_is_kept_as_a_hash_only(house):
    secret = house.token("prosumer", "h001")
    data = house.call("GET", WHOAMI, token=secret).json()["data"]
    assert (data["role"], data["subjects"]) == ("prosumer", ["h001"])
    with house.database.engine.connect() as connection:
        kept = str(connection.execute(sa.select(tokens)).mappings().all())
    assert secret not in kept
    assert secret.removeprefix("pm_") not in kept


def test_a_token_that_is_expired_or_revoked_is_good_for_nothing(house):
    short, _ = house.services.tokens.create("short", "dso", days=1)
    revoked, caller = house.services.tokens.create("revoked", "dso")
    assert house.call("GET", WHOAMI, token=revoked).status_code == 200
    house.services.tokens.revoke(caller.token_id)
    assert house.call("GET", WHOAMI, token=revoked).status_code == 401
    assert house.call("GET", WHOAMI, token=short).status_code == 200
    house.now_s += DAY_S
    assert house.call("GET", WHOAMI, token=short).status_code == 401


def test_a_revocation_by_another_process_holds_within_a_second(tmp_path):
    url, now_s = f"sqlite:///{tmp_path / 'access.sqlite'}", [1000.0]
    server, command = (TokenStore(AccessDatabase(url), lambda: now_s[0]) for _ in range(2))
    secret, caller = command.create("a tool", "dso")
    assert server.caller(secret) is not None
    command.revoke(caller.token_id)
    now_s[0] += 1.0
    assert server.caller(secret) is None


def test_everything_that_is_wrong_with_a_token_is_named_at_once(house):
    with pytest.raises(InvalidInput) as told:
        house.services.tokens.create("", "king", days=0, requests_per_s=-1)
    assert {each.path for each in told.value.problems} == {"name", "role", "days", "requests_per_s"}
    with pytest.raises(InvalidInput, match="bound to its own"):
        house.services.tokens.create("home", "prosumer")


def test_who_calls_too_often_waits_and_others_do_not():
    house = House(requests_per_s=2)
    answers = [house.call("GET", WHOAMI, role="dso") for _ in range(5)]
    assert [each.status_code for each in answers] == [200] * 4 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert house.call("GET", WHOAMI, role="aggregator").status_code == 200
    house.now_s += 1
    assert [house.call("GET", WHOAMI, role="dso").status_code for _ in range(3)] == [200, 200, 429]


def test_guessing_tokens_is_slowed_down():
    house = House(requests_per_s=2)
    tried = [house.call("GET", WHOAMI, token=f"pm_{i}").status_code for i in range(5)]
    assert tried == [401] * 4 + [429]


def test_every_call_is_written_down_with_its_outcome_and_no_plain_name(house):
    house.call("POST", READINGS, role="gateway", json=reading())
    house.call("GET", READINGS, role="prosumer", subject="h002", start=0, end=9)
    house.call("GET", WHOAMI)
    house.call("GET", "/no/such/path")
    rows = house.services.audit.last(10)
    told = [(row["role"], row["method"], row["route"], row["status"]) for row in reversed(rows)]
    assert told == [
        ("gateway", "POST", f"{API}/facts/{{entity}}", 201),
        ("prosumer", "GET", f"{API}/facts/{{entity}}", 403),
        ("", "GET", WHOAMI, 401),
        ("", "GET", "unknown", 404),
    ]
    assert rows[2]["about"].startswith("p_")
    assert "h002" not in str(rows)


def test_the_audit_log_is_the_administrators_and_only_grows(house):
    house.now_s = WallClock().now_s()
    house.call("POST", READINGS, role="gateway", json=reading())
    assert house.call("GET", f"{API}/audit", role="dso").status_code == 403
    told = house.call("GET", f"{API}/audit", role="repository").json()["data"]
    assert [each["role"] for each in told] == ["dso", "gateway"]
    for change in (audit.update().values(status=200), audit.delete()):
        with pytest.raises(sa.exc.IntegrityError, match="append only"), house.database.engine.begin() as c:
            c.execute(change)


def test_a_change_is_written_down_before_it_is_answered(tmp_path):
    house = House()
    house.database = AccessDatabase(f"sqlite:///{tmp_path / 'access.sqlite'}")
    house.services.audit._database = house.database
    house.call("POST", READINGS, role="gateway", json=reading())
    with sqlite3.connect(tmp_path / "access.sqlite") as other:
        assert other.execute("SELECT status FROM api_audit").fetchall() == [(201,)]


def test_a_bug_is_answered_without_its_details_and_logged_without_the_token(capfd, caplog):
    caplog.set_level(logging.DEBUG)
    house = House(repository=Broken())
    secret = house.token("prosumer", "h001")
    answer = house.call("GET", READINGS, token=secret, start=0, end=9)
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    written = "".join(capfd.readouterr()) + caplog.text
    assert "secret detail" in written
    assert secret not in written


class Broken:
    """A repository with a bug."""

    def of_market(self, market: str) -> "Broken":
        raise RuntimeError("secret detail")


def test_unknown_paths_and_methods_are_answered_like_anything_else(house):
    lost = house.call("GET", "/api/v2/facts")
    assert (lost.status_code, faults(lost)) == (404, {"path": "/api/v2/facts"})
    wrong = house.call("DELETE", WHOAMI, role="dso")
    assert (wrong.status_code, faults(wrong)) == (405, {"method": "DELETE"})
    assert "GET" in wrong.headers["allow"]
    long = house.call("POST", READINGS, role="gateway", content=b" " * 9_000_000)
    assert (long.status_code, long.json()["status"]) == (413, "failed")
