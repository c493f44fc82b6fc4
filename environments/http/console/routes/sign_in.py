"""Signing in with a token, and out."""

from typing import Any

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.exceptions import NotAuthorizedException
from litestar.response import Redirect

from environments.http.access import allowing, anybody, token_holders
from environments.http.console.pages import CONSOLE, page
from environments.http.console.sessions import COOKIE, LIFETIME_S
from environments.http.console.signing_in import session_of, shown_to
from environments.http.services import services_of
from ontology.errors import Refused

__all__ = ["SIGN_IN"]

Any_ = Request[Any, Any, Any]
HOME = f"{CONSOLE}/"


@get("/sign-in", opt=allowing(anybody()))
async def sign_in_page(request: Any_) -> Response[Any]:
    """Ask for a token."""
    if session_of(request) is not None:
        return Redirect(HOME, status_code=303)
    return page(request, "sign_in.html", wrong=False)


@post("/sign-in", opt=allowing(anybody()))
async def sign_in(request: Any_) -> Response[Any]:
    """Begin a session for who holds the token of the form.

    Raises: Refused when the form is another site's.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refused("sign in from the console's own page")
    token = str((await request.form()).get("token", "")).strip()
    cookie = services_of(request).sessions.begin(token)
    if cookie is None:
        return page(request, "sign_in.html", 401, wrong=True)
    answer = Redirect(HOME, status_code=303)
    answer.set_cookie(_cookie(request, cookie, LIFETIME_S))
    return answer


@post("/sign-out", opt=shown_to(token_holders()))
async def sign_out(request: Any_) -> Response[str]:
    """End the session."""
    services_of(request).sessions.end(request.cookies.get(COOKIE, ""))
    answer = Response("", media_type=MediaType.TEXT, headers={"HX-Redirect": f"{CONSOLE}/sign-in"})
    answer.set_cookie(_cookie(request, "", 0))
    return answer


@get("/", opt=shown_to(token_holders()))
async def home(request: Any_) -> Response[str]:
    """Show the community, and what the one who is signed in may do."""
    if session_of(request) is None:
        raise NotAuthorizedException
    return page(request, "home.html")


def _cookie(request: Any_, value: str, max_age: int) -> Cookie:
    secure = request.url.scheme == "https"
    return Cookie(
        COOKIE, value=value, max_age=max_age, path=CONSOLE, httponly=True, samesite="strict", secure=secure
    )


SIGN_IN = (sign_in_page, sign_in, sign_out, home)
