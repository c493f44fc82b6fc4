"""A client of the interface in a few lines, sync and async.

```python
with Client("http://127.0.0.1:8800", token_file="h001.token") as client:
    client.store(IntervalReading(subject="h001", start_s=…, …))
    for reading in client.facts(IntervalReading, subject="h001", start="2024-05-02T00:00:00Z", end=…):
        …
    client.tell("/iml/h001/overrides", UserOverride(…))
```
What the server refuses is raised as the error that agents know: InvalidInput with every problem, Refused,
Conflict, Unavailable.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import httpx
import msgspec

from ontology.base import Concept
from ontology.codec import message_type_of
from ontology.errors import (
    Conflict,
    Failed,
    InvalidInput,
    NotUnderstood,
    ParityError,
    Problem,
    Refused,
    Unavailable,
)

__all__ = ["AsyncClient", "Client"]

C = TypeVar("C", bound=Concept)
Times = int | str
API = "/api/v1"
PAGE = 5_000
TIMEOUT_S = 30.0
_JSON = {"Content-Type": "application/json"}
_KINDS = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}
_LINES = "application/x-ndjson"
_encode = msgspec.json.Encoder().encode


class _Call(NamedTuple):
    """A request to be."""

    method: str
    path: str
    parameters: list[tuple[str, str]] = []
    body: bytes | None = None
    headers: dict[str, str] = {}


class Client:
    """Speaks with an interface, one call after the other.

    Args:
        url: such as `https://repository.example:8800`.
        token: the secret, or `token_file`, whose first line it is.
        verify: for HTTPS, a file of certificates to trust instead of the system's.
    """

    def __init__(
        self, url: str, token: str = "", *, token_file: str | Path | None = None, verify: str | bool = True
    ) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers=_authorised(token, token_file),
            timeout=TIMEOUT_S,
            transport=httpx.HTTPTransport(retries=2, verify=verify),
        )

    def __enter__(self) -> "Client":
        """Keep connections open until the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def store(self, facts: Concept | Sequence[Concept], *, idempotency_key: str = "") -> int:
        """Store facts of one type, all or none, and return how many they were."""
        return int(self._data(_store(facts, idempotency_key))["stored"])

    def facts(
        self,
        kind: type[C],
        *,
        subject: str | Sequence[str] = (),
        start: Times = 0,
        end: Times = 0,
        filters: Iterable[str] = (),
    ) -> Iterator[C]:
        """Yield facts in [start, end), ascending, page by page; times are epoch seconds or ISO 8601."""
        asked, cursor = _history(kind, subject, start, end, filters), ""
        while True:
            page = self._data(_at(asked, cursor))
            yield from msgspec.convert(page["items"], list[kind])  # type: ignore[valid-type]
            cursor = page["next"]
            if not cursor:
                return

    def latest(self, kind: type[C], subject: str = "") -> C | None:
        """Return the newest fact about a subject, if any."""
        return _concept(kind, self._data(_latest(kind, subject)))

    def delete(self, kind: type[Concept], subject: str, start: Times, end: Times) -> int:
        """Delete facts about a subject in [start, end), and return how many they were."""
        return int(self._data(_delete(kind, subject, start, end))["deleted"])

    def upload(self, kind: type[Concept], file: str | Path) -> int:
        """Store the facts of a file (`.jsonl`, `.csv`, `.parquet`), which may be of any length."""
        path = Path(file)
        call = _upload(kind, path)
        with path.open("rb") as content:
            answer = _sent(lambda: self._http.post(call.path, content=content, headers=call.headers))
        return int(_data(answer)["stored"])

    def ask(self, path: str, **parameters: Any) -> Any:
        """Put a question to an agent, such as `ask("/dstatcom/status")`, and return its answer."""
        return self._data(_Call("GET", API + path, _flat(parameters)))

    def tell(self, path: str, content: Concept) -> Any:
        """Say something to an agent, such as `tell("/dstatcom/commands", command)`; return its answer."""
        return self._data(_Call("POST", API + path, [], _encode(content), _JSON))

    def _data(self, call: _Call) -> Any:
        return _data(_sent(lambda: self._http.request(**_request(call))))


class AsyncClient:
    """As `Client`, for asyncio."""

    def __init__(
        self, url: str, token: str = "", *, token_file: str | Path | None = None, verify: str | bool = True
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=url,
            headers=_authorised(token, token_file),
            timeout=TIMEOUT_S,
            transport=httpx.AsyncHTTPTransport(retries=2, verify=verify),
        )

    async def __aenter__(self) -> "AsyncClient":
        """Keep connections open until the end of the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def store(self, facts: Concept | Sequence[Concept], *, idempotency_key: str = "") -> int:
        """Store facts of one type, all or none, and return how many they were."""
        return int((await self._data(_store(facts, idempotency_key)))["stored"])

    async def facts(
        self,
        kind: type[C],
        *,
        subject: str | Sequence[str] = (),
        start: Times = 0,
        end: Times = 0,
        filters: Iterable[str] = (),
    ) -> AsyncIterator[C]:
        """Yield facts in [start, end), ascending, page by page; times are epoch seconds or ISO 8601."""
        asked, cursor = _history(kind, subject, start, end, filters), ""
        while True:
            page = await self._data(_at(asked, cursor))
            for fact in msgspec.convert(page["items"], list[kind]):  # type: ignore[valid-type]
                yield fact
            cursor = page["next"]
            if not cursor:
                return

    async def latest(self, kind: type[C], subject: str = "") -> C | None:
        """Return the newest fact about a subject, if any."""
        return _concept(kind, await self._data(_latest(kind, subject)))

    async def delete(self, kind: type[Concept], subject: str, start: Times, end: Times) -> int:
        """Delete facts about a subject in [start, end), and return how many they were."""
        return int((await self._data(_delete(kind, subject, start, end)))["deleted"])

    async def ask(self, path: str, **parameters: Any) -> Any:
        """Put a question to an agent, such as `ask("/dstatcom/status")`, and return its answer."""
        return await self._data(_Call("GET", API + path, _flat(parameters)))

    async def tell(self, path: str, content: Concept) -> Any:
        """Say something to an agent, such as `tell("/dstatcom/commands", command)`; return its answer."""
        return await self._data(_Call("POST", API + path, [], _encode(content), _JSON))

    async def _data(self, call: _Call) -> Any:
        try:
            answer = await self._http.request(**_request(call))
        except httpx.TransportError as error:
            raise Unavailable(f"{error.request.url.host}: {error}") from error
        return _data(answer)


# ------------------------------------------------------------------------------------------------ requests


def _authorised(token: str, token_file: str | Path | None) -> dict[str, str]:
    if token_file is not None:
        token = Path(token_file).read_text(encoding="utf-8").partition("\n")[0].strip()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _request(call: _Call) -> dict[str, Any]:
    return {
        "method": call.method,
        "url": call.path,
        "params": call.parameters,
        "content": call.body,
        "headers": call.headers,
    }


def _store(facts: Concept | Sequence[Concept], idempotency_key: str) -> _Call:
    listed = [facts] if isinstance(facts, Concept) else list(facts)
    kinds = {type(fact) for fact in listed}
    if len(kinds) != 1:
        raise InvalidInput(Problem("facts", f"{len(kinds)} types", "facts of one type"))
    headers = _JSON | ({"Idempotency-Key": idempotency_key} if idempotency_key else {})
    return _Call("POST", _facts(kinds.pop()), [], _encode(listed), headers)


def _history(
    kind: type[Concept], subject: str | Sequence[str], start: Times, end: Times, filters: Iterable[str]
) -> _Call:
    subjects = [subject] if isinstance(subject, str) else list(subject)
    parameters = [("subject", each) for each in subjects] + [("filter", each) for each in filters]
    if start or end:
        parameters += [("start", str(start)), ("end", str(end))]
    return _Call("GET", _facts(kind), [*parameters, ("limit", str(PAGE))])


def _at(asked: _Call, cursor: str) -> _Call:
    return asked._replace(parameters=[*asked.parameters, ("cursor", cursor)]) if cursor else asked


def _latest(kind: type[Concept], subject: str) -> _Call:
    return _Call("GET", _facts(kind) + "/latest", [("subject", subject)] if subject else [])


def _delete(kind: type[Concept], subject: str, start: Times, end: Times) -> _Call:
    parameters = [("subject", subject), ("start", str(start)), ("end", str(end))]
    return _Call("DELETE", _facts(kind), parameters)


def _upload(kind: type[Concept], path: Path) -> _Call:
    headers = {"Content-Type": _KINDS.get(path.suffix.lower(), _LINES)}
    return _Call("POST", f"{API}/uploads/{message_type_of(kind)}", headers=headers)


def _facts(kind: type[Concept]) -> str:
    return f"{API}/facts/{message_type_of(kind)}"


def _flat(parameters: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, str(each))
        for name, value in parameters.items()
        for each in (value if isinstance(value, list | tuple) else [value])
    ]


# ------------------------------------------------------------------------------------------------- answers


def _sent(send: Any) -> httpx.Response:
    try:
        answer = send()
    except httpx.TransportError as error:
        raise Unavailable(f"{error.request.url.host}: {error}") from error
    assert isinstance(answer, httpx.Response)
    return answer


def _concept(kind: type[C], data: Any) -> C | None:
    return None if data is None else msgspec.convert(data, kind)


def _data(answer: httpx.Response) -> Any:
    """Return the data of an answer.

    Raises: the error that its status stands for.
    """
    try:
        body = msgspec.json.decode(answer.content)
    except msgspec.MsgspecError:
        raise Failed(f"{answer.status_code}: not an answer of this interface") from None
    if answer.is_success:
        return body["data"]
    raise _error(answer.status_code, body.get("errors", []))


def _error(status: int, faults: list[dict[str, str]]) -> ParityError:
    problems = [Problem(each["field"], each["value"], each["expected"]) for each in faults]
    said = "; ".join(str(each).strip() for each in problems)
    if status == 422:
        return InvalidInput(problems)
    if status in (400, 405, 413, 415):
        return NotUnderstood(problems)
    if status in (401, 403, 404):
        return Refused(said)
    if status in (409, 412):
        return Conflict(said)
    return Unavailable(said) if status in (429, 503, 504) else Failed(said)
