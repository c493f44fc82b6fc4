"""Signing in at the console: by token, until it is revoked; and no change without the session's sign."""

from console_visits import SignIn
from litestar.testing import TestClient

from environments.http.console.sessions import COOKIE, SIGN_HEADER, sign_of
from environments.http.services import Services


def test_who_is_not_signed_in_is_asked_to(client: TestClient) -> None:
    answer = client.get("/console/letters")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")
    assert client.get("/console/letters", headers={"hx-request": "true"}).headers["hx-redirect"]
    assert client.get("/console/sign-in").status_code == 200


def test_a_wrong_token_opens_nothing(client: TestClient) -> None:
    answer = client.post("/console/sign-in", data={"token": "pm_wrong"})
    assert answer.status_code == 401
    assert COOKIE not in answer.cookies


def test_the_cookie_is_for_the_console_alone_and_hidden_from_scripts(
    client: TestClient, services: Services
) -> None:
    token, _ = services.tokens.create("operator", "market-operator")
    cookie = client.post("/console/sign-in", data={"token": token}).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/console" in cookie
    assert token not in cookie


def test_a_session_ends_with_its_token(signed_in: SignIn, services: Services) -> None:
    client = signed_in("dso")
    assert client.get("/console/").status_code == 200
    services.tokens.revoke(services.tokens.listed()[0].token_id)
    assert client.get("/console/").status_code == 303


def test_a_change_needs_the_sign_of_its_session(signed_in: SignIn) -> None:
    client = signed_in("dso")
    assert client.post("/console/sign-out").status_code == 403
    sign = sign_of(client.cookies[COOKIE])
    assert client.post("/console/sign-out", headers={SIGN_HEADER: sign}).status_code == 201
    assert client.get("/console/").status_code == 303


def test_another_site_cannot_sign_somebody_in(client: TestClient, services: Services) -> None:
    token, _ = services.tokens.create("operator", "market-operator")
    answer = client.post("/console/sign-in", data={"token": token}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


def test_pages_load_nothing_from_elsewhere(signed_in: SignIn) -> None:
    answer = signed_in("dso").get("/console/")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "http" not in answer.text.replace("http-equiv", "")
