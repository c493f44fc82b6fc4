"""Parameters of calls: times, filters, and that nothing unknown is asked for."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from litestar import Request

from behaviours.repository_port import Comparison, Filter
from ontology.errors import InvalidInput, Problem, problem

__all__ = ["epoch_of", "filters_of", "limit_of", "require_known_parameters", "unknown_parameters"]

LATEST_S = 253_402_300_800


def require_known_parameters(request: Request[Any, Any, Any]) -> None:
    """Refuse parameters that a route does not have: a misspelt one would widen what is asked for.

    A route whose `opt` says that it collects problems names them together with its own.

    Raises: InvalidInput naming each.
    """
    unknown = unknown_parameters(request)
    if unknown and not request.route_handler.opt.get("collects"):
        raise InvalidInput(unknown)


def unknown_parameters(request: Request[Any, Any, Any]) -> list[Problem]:
    """Return a problem for each parameter that a route does not have."""
    known = set(request.route_handler.parsed_fn_signature.parameters)
    return [
        problem(name, request.query_params[name], "no such parameter here")
        for name in sorted(set(request.query_params) - known)
    ]


def limit_of(text: str | None, most: int, problems: list[Problem]) -> int:
    """Return how many are wanted at most, by default 1000; what is wrong is noted."""
    if text is None:
        return min(1000, most)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        problems.append(problem("limit", text, f"a whole number, 1 to {most}"))
        return 1
    return int(text)


def epoch_of(name: str, text: str | None, problems: list[Problem]) -> int:
    """Return an epoch second given as such or as ISO 8601 with a zone; what is wrong is noted."""
    if text is None or not text.strip():
        problems.append(problem(name, "missing", "epoch seconds, or ISO 8601 such as 2024-05-02T00:00:00Z"))
        return 0
    try:
        moment = int(text) if text.lstrip("-").isdigit() else _iso(text)
    except (ValueError, OverflowError):
        moment = -1
    if not 0 <= moment <= LATEST_S:
        problems.append(problem(name, text, "epoch seconds, or ISO 8601 such as 2024-05-02T00:00:00Z"))
        return 0
    return moment


def filters_of(texts: Sequence[str] | None, problems: list[Problem]) -> tuple[Filter, ...]:
    """Return filters given as `field:comparison:value`; with `in` the values are parted by commas."""
    found = []
    for text in texts or ():
        field, _, rest = text.partition(":")
        comparison, colon, value = rest.partition(":")
        if not field or not colon or comparison not in list(Comparison):
            expected = "field:comparison:value, compared by " + ", ".join(Comparison)
            problems.append(problem("filter", text, expected))
            continue
        by = Comparison(comparison)
        found.append(Filter(field, by, value.split(",") if by is Comparison.ONE_OF else value))
    return tuple(found)


def _iso(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return int(moment.astimezone(UTC).timestamp())
