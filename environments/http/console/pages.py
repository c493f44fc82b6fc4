"""Pages: HTML from templates, with what every page shows: who is signed in, and where one may go."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, NotAuthorizedException
from litestar.response import Redirect

from environments.http.access import Rule
from environments.http.answers import answer_error
from environments.http.console.sessions import Session
from environments.http.services import services_of
from environments.http.tokens import Caller

__all__ = ["CONSOLE", "NavigationEntry", "answer_page_error", "fragment", "html", "page", "register_entry"]

CONSOLE = "/console"
HERE = Path(__file__).parent
SECURITY = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every page: nothing is loaded from elsewhere, nobody frames it, no proxy keeps it."""

PASSED = frozenset({"sent", "handled", "received"})
"""Counts of letters that nothing was wrong with."""

Any_ = Request[Any, Any, Any]


class NavigationEntry(NamedTuple):
    """A page that one can go to, for those whom its rule permits."""

    path: str
    title: str
    rule: Rule
    group: str = ""
    needs: str = ""
    """Name of what the host must offer beside the usual, if anything."""


_ENTRIES: list[NavigationEntry] = []


def register_entry(path: str, title: str, rule: Rule, group: str = "", needs: str = "") -> None:
    """Let a page stand in the navigation, where what it needs is there."""
    _ENTRIES.append(NavigationEntry(path, title, rule, group, needs))


def page(request: Any_, template: str, status: int = 200, **context: Any) -> Response[str]:
    """Return a whole page."""
    session: Session | None = request.scope.get("auth")
    caller = session.caller if session else None
    offered = services_of(request).more
    entries = [entry for entry in _ENTRIES if caller is not None and _leads_somewhere(entry, caller, offered)]
    context.setdefault("community", offered.get("community"))
    html = (
        _environment()
        .get_template(template)
        .render(
            caller=caller,
            sign=session.sign if session else "",
            entries=entries,
            path=request.url.path,
            **context,
        )
    )
    return Response(html, status_code=status, media_type=MediaType.HTML, headers=SECURITY)


def _leads_somewhere(entry: NavigationEntry, caller: Caller, offered: Mapping[str, Any]) -> bool:
    """Tell whether a page is there, and for this caller."""
    return entry.rule.permits(caller.role, {}) and (not entry.needs or entry.needs in offered)


def fragment(template: str, **context: Any) -> str:
    """Return a piece of a page."""
    return _environment().get_template(template).render(**context)


def html(text: str) -> Response[str]:
    """Return a piece of a page as a response."""
    return Response(text, media_type=MediaType.HTML, headers=SECURITY)


def answer_page_error(request: Any_, error: Exception) -> Response[Any]:
    """Show what went wrong as a page; who is not signed in is asked to."""
    if isinstance(error, NotAuthorizedException):
        return _to_sign_in(request)
    answered = answer_error(request, error)
    faults = json.loads(answered.content)["errors"]
    if "hx-request" in request.headers:
        html = fragment("faults.html", faults=faults)
        return Response(html, status_code=answered.status_code, media_type=MediaType.HTML, headers=SECURITY)
    title = error.detail if isinstance(error, HTTPException) else "This could not be done"
    return page(request, "error.html", answered.status_code or 500, faults=faults, title=title)


def _to_sign_in(request: Any_) -> Response[Any]:
    target = f"{CONSOLE}/sign-in"
    if "hx-request" in request.headers:
        return Response("", status_code=401, headers={"HX-Redirect": target})
    return Redirect(target, status_code=303)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        time=_time,
        clock=_clock,
        name=_name,
        words=_words,
        turned_away=_turned_away,
        figure=_figure,
        label=_label,
        device=_device,
    )
    return environment


def _time(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _clock(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%H:%M:%S")


def _name(address: str) -> str:
    return address.partition("@")[0]


def _words(name: str) -> str:
    """Return `LOCAL_ENERGY` or `consumed_wh` as people write it."""
    return name.replace("_", " ").lower()


_UNITS = {
    "wh": "Wh",
    "w": "W",
    "va": "VA",
    "degc": "°C",
    "tokens": "tokens",
    "ticks": "ticks",
    "pu": "p.u.",
    "ms": "ms",
    "v": "V",
    "a": "A",
    "var": "var",
}
"""Ends of field names that are units; `_s` of a time is said by the time itself."""


def _label(field: str) -> str:
    """Return the heading of a field: `peak_w` is "peak, W"."""
    words, _, unit = field.rpartition("_")
    if not words:
        return field
    if unit == "s":
        return words.replace("_", " ")
    return f"{words.replace('_', ' ')}, {_UNITS[unit]}" if unit in _UNITS else field.replace("_", " ")


_DEVICES = {"bess": "battery", "ev": "charger", "dhw": "hot water", "pv": "photovoltaics"}


def _device(asset_id: str, site: str) -> str:
    """Return what people call a device of a site."""
    name = asset_id.removeprefix(f"{site}-")
    return _DEVICES.get(name, _words(name))


def _turned_away(counts: Mapping[str, int]) -> int:
    return sum(count for what, count in counts.items() if what not in PASSED)


def _figure(value: object) -> str:
    """Return a number with as many digits as people read, anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
