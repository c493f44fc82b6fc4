"""Questions to a charging platform in OCPI's envelopes: its token, its pages, its status codes."""

import base64
import re
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import aiohttp
import msgspec

from ontology.errors import Refused, Unavailable

__all__ = ["OcpiLink", "authorization", "envelope"]

_LONGEST_BYTES = 8_000_000
_MOST_PAGES = 200
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


def authorization(token: str) -> str:
    """Return the header that shows a token (OCPI 2.2.1: base64)."""
    return f"Token {base64.b64encode(token.encode()).decode()}"


def envelope(data: object, timestamp: str, status_code: int = 1000) -> dict[str, object]:
    """Return an answer as OCPI wraps it."""
    return {"data": data, "status_code": status_code, "timestamp": timestamp}


class OcpiLink:
    """Asks a platform.

    Raises: Unavailable from every question that is not answered, Refused when it is answered with no.
    """

    def __init__(
        self, versions_url: str, token: str, *, trust: ssl.SSLContext | None, answer_s: float
    ) -> None:
        """Prepare a link; `versions_url` is where the platform lists the versions of OCPI it speaks."""
        self._versions_url, self._token, self._trust = versions_url, token, trust
        self._timeout = aiohttp.ClientTimeout(total=answer_s)
        self._session: aiohttp.ClientSession | None = None
        self._endpoints: dict[str, str] = {}
        self._number = 0

    async def endpoint(self, identifier: str, role: str) -> str:
        """Return the address of a module, by the platform's own list.

        Raises: Unavailable, Refused when it has none, or does not speak 2.2.1.
        """
        if not self._endpoints:
            versions, _ = await self._ask("GET", self._versions_url)
            found = [each["url"] for each in versions if str(each.get("version")) == "2.2.1"]
            if not found:
                raise Refused(f"{self._versions_url}: no OCPI 2.2.1")
            details, _ = await self._ask("GET", found[0])
            self._endpoints = {
                f"{each['identifier']} {each['role']}": each["url"] for each in details["endpoints"]
            }
        address = self._endpoints.get(f"{identifier} {role}")
        if address is None:
            raise Refused(f"{self._versions_url}: no module {identifier} as {role}")
        return address.rstrip("/")

    async def all_of(self, url: str, query: Mapping[str, str]) -> list[Any]:
        """Return every item of a list, page by page.

        Raises: Unavailable, Refused.
        """
        items, following = await self._ask("GET", url, query=query)
        for _ in range(_MOST_PAGES):
            if not following:
                break
            more, following = await self._ask("GET", following)
            items = [*items, *more]
        return list(items)

    async def put(self, url: str, body: object) -> Any:
        """Put JSON and return the answer's data.

        Raises: Unavailable, Refused.
        """
        return (await self._ask("PUT", url, body=body))[0]

    async def delete(self, url: str, query: Mapping[str, str]) -> Any:
        """Delete, and return the answer's data.

        Raises: Unavailable, Refused.
        """
        return (await self._ask("DELETE", url, query=query))[0]

    async def close(self) -> None:
        """Let go of the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ask(
        self, method: str, url: str, *, query: Mapping[str, str] | None = None, body: object = None
    ) -> tuple[Any, str]:
        """Return the data of an answer, and where the next page is."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        self._number += 1
        headers = {
            "Authorization": authorization(self._token),
            "X-Request-ID": f"parity-{self._number}",
            "X-Correlation-ID": f"parity-{self._number}",
        }
        data = None if body is None else msgspec.json.encode(body)
        if data is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                method,
                url,
                params=query,
                data=data,
                headers=headers,
                ssl=self._trust or True,
                allow_redirects=False,
            ) as answer:
                raw = await answer.content.read(_LONGEST_BYTES)
                status, link = answer.status, answer.headers.get("Link", "")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{url}: {type(error).__name__} {error}".strip()) from error
        return _data_of(url, status, raw), urljoin(url, found[1]) if (found := _NEXT.search(link)) else ""


def _data_of(url: str, status: int, raw: bytes) -> Any:
    """Return what an answer says.

    Raises: Refused for 4xx and OCPI's 2xxx, Unavailable for 5xx, OCPI's 3xxx and what is no OCPI.
    """
    if status >= 500:
        raise Unavailable(f"{url}: HTTP status {status}")
    try:
        content = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        content = None
    code = content.get("status_code") if isinstance(content, dict) else None
    said = str(content.get("status_message", "")) if isinstance(content, dict) else ""
    if status >= 400 or (isinstance(code, int) and 2000 <= code < 3000):
        raise Refused(f"{url}: HTTP status {status}, OCPI status {code} {said}".strip())
    if not isinstance(content, dict) or not isinstance(code, int) or code >= 3000:
        raise Unavailable(f"{url}: OCPI status {code} {said}".strip())
    return content.get("data")
