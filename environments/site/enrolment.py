"""Enrolment over HTTPS: a new site shows its one-time code and its public keys, and is told its terms.

```
site       POST /enrol  EnrolmentRequest        code, public keys, passwords that it has drawn itself
community  → EnrolmentGrant                     terms, the market operator's key, certificates
anybody    GET /time                            what time the community has
```
"""

import ssl
from collections.abc import Callable, Mapping
from typing import Annotated, Protocol

import aiohttp
import msgspec
import structlog
from aiohttp import web
from msgspec import Meta

from behaviours.membership import Member
from environments.site.enrolled import Hex, SiteTerms
from environments.site.invitations import Invitations
from environments.wire.addresses import Place
from environments.wire.http_service import answered
from ontology.errors import InvalidInput, ParityError, Refused, Unavailable, consequence_of, problem
from ontology.membership import MemberCertificate
from ontology.roles import Role

__all__ = [
    "SITE_ROLES",
    "Accounts",
    "EnrolmentGrant",
    "EnrolmentOffice",
    "EnrolmentRequest",
    "EnrolmentService",
    "enrol",
    "time_of",
]

log = structlog.get_logger()

SITE_ROLES: Mapping[str, Role] = {
    "prosumer": Role.PROSUMER,
    "gateway": Role.GATEWAY,
    "oracle": Role.ORACLE,
    "blockchain": Role.BLOCKCHAIN,
    "pv": Role.PV,
    "bess": Role.BESS,
    "ev": Role.EV,
    "p2h": Role.P2H,
}
"""The agents that a site may have, and what they are: the community decides, not the site."""
LONGEST_BYTES = 65_536
PATIENCE_S = 20.0


class NewAgent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An agent of a new site: its public key, and the password of the account that it shall get."""

    verify_key: Hex
    password: Annotated[str, Meta(min_length=24, max_length=200)]

    def __repr__(self) -> str:
        return "NewAgent(…)"


class EnrolmentRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a new site says."""

    site: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    code: Annotated[str, Meta(max_length=100)]
    agents: Annotated[dict[str, NewAgent], Meta(max_length=len(SITE_ROLES))]

    def __repr__(self) -> str:
        return f"EnrolmentRequest({self.site!r}, …)"


class EnrolmentGrant(msgspec.Struct, frozen=True, kw_only=True):
    """What it is told."""

    terms: SiteTerms
    authority: Hex
    certificates: list[MemberCertificate]


class Accounts(Protocol):
    """Where the accounts of the community's server are kept."""

    def register(self, address: str, password: str) -> None:
        """Give an address an account, or a new password."""

    def remove(self, address: str) -> None:
        """Let an account go."""


class EnrolmentOffice:
    """Lets invited sites in: accounts, a certificate, terms; a site that enrols again gets new ones."""

    def __init__(
        self,
        invitations: Invitations,
        accounts: Accounts,
        *,
        terms_of: Callable[[str], SiteTerms],
        certify: Callable[[str, list[Member]], None],
        grant: Callable[[SiteTerms], EnrolmentGrant],
        now_s: Callable[[], float],
    ) -> None:
        """Open an office.

        Args:
            invitations: which sites are expected, and with which codes.
            accounts: of the community's server.
            terms_of: gives the terms of a site; raises Refused for one that the community does not know.
            certify: takes a site's agents up into the register.
            grant: returns what a site is told, with all certificates.
            now_s: the present.
        """
        self._invitations, self._accounts = invitations, accounts
        self._terms_of, self._certify, self._grant, self._now_s = terms_of, certify, grant, now_s

    def enrol(self, request: EnrolmentRequest) -> EnrolmentGrant:
        """Let a site in; its code is used up only when everything else is done.

        Raises: Refused when it is not invited with this code, InvalidInput when an agent is none of a site's,
            Unavailable when the disk does not take it.
        """
        self._invitations.require(request.site, request.code, self._now_s())
        unknown = sorted(name for name in request.agents if name not in SITE_ROLES)
        if unknown:
            raise InvalidInput([problem("agents", name, ", ".join(SITE_ROLES)) for name in unknown])
        terms = self._terms_of(request.site)
        members = []
        for name, agent in request.agents.items():
            address = f"{request.site}-{name}@{terms.domain}"
            self._accounts.register(address, agent.password)
            members.append(Member(address, SITE_ROLES[name], request.site, bytes.fromhex(agent.verify_key)))
        self._certify(request.site, members)
        self._invitations.use_up(request.site)
        log.warning("site enrolled", site=request.site, agents=len(members))
        return self._grant(terms)


class EnrolmentService:
    """The office on the network, behind TLS."""

    def __init__(self, office: EnrolmentOffice, now_s: Callable[[], float]) -> None:
        """Prepare to listen for an office."""
        self._office, self._now_s = office, now_s
        app = web.Application(client_max_size=LONGEST_BYTES)
        app.router.add_routes([web.post("/enrol", self._enrol), web.get("/time", self._time)])
        self._runner = web.AppRunner(app, access_log=None)
        self.port = 0

    async def start(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        """Listen; port 0 is a free one, which `port` then tells.

        Raises: Unavailable when the address is taken.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, ssl_context=tls, shutdown_timeout=2).start()
        except OSError as error:
            raise Unavailable(f"enrolment at {host}:{port}: {error.strerror}") from error
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()

    async def _time(self, _: web.Request) -> web.Response:
        return answered({"time_s": self._now_s()})

    async def _enrol(self, request: web.Request) -> web.Response:
        try:
            wanted = msgspec.json.decode(await request.read(), type=EnrolmentRequest)
            return answered(self._office.enrol(wanted))
        except msgspec.DecodeError as error:
            return answered({"error": f"not an enrolment: {error}"}, 400)
        except ParityError as error:
            log.warning("enrolment refused", why=str(error))
            return answered({"error": str(error)}, consequence_of(error).http_status)
        except web.HTTPException:
            raise
        except Exception:
            log.exception("enrolment failed")
            return answered({"error": "went wrong here"}, 500)


async def enrol(place: Place, trust: ssl.SSLContext, request: EnrolmentRequest) -> EnrolmentGrant:
    """Enrol a site and return what it is told.

    Raises: Refused when the community says no, Unavailable when it cannot be reached or trusted.
    """
    status, body = await _asked(place, trust, "enrol", msgspec.json.encode(request))
    if status == 200:
        try:
            return msgspec.json.decode(body, type=EnrolmentGrant)
        except msgspec.DecodeError as error:
            raise Unavailable(f"{place.url} answered something else: {error}") from error
    raise Refused(_reason(body) or f"{place.url} answered {status}")


async def time_of(place: Place, trust: ssl.SSLContext) -> float:
    """Return what time the community has, in epoch seconds.

    Raises: Unavailable when it cannot be reached or trusted.
    """
    status, body = await _asked(place, trust, "time")
    try:
        return float(msgspec.json.decode(body)["time_s"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        raise Unavailable(f"{place.url} answered {status} when asked the time") from None


async def _asked(
    place: Place, trust: ssl.SSLContext, path: str, body: bytes | None = None
) -> tuple[int, bytes]:
    method = "GET" if body is None else "POST"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as session,
            session.request(method, f"{place.url}/{path}", data=body, ssl=trust) as answer,
        ):
            return answer.status, await answer.read()
    except aiohttp.ClientConnectorCertificateError as error:
        why = getattr(error.certificate_error, "verify_message", None) or error.certificate_error
        raise Unavailable(f"{place.url}: its certificate is not trusted: {why}") from error
    except aiohttp.ClientConnectorError as error:
        raise Unavailable(f"{place.url} cannot be reached: {error.os_error.strerror or error}") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unavailable(f"{place.url} cannot be reached: {error or 'no answer in time'}") from error


def _reason(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["error"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return ""
