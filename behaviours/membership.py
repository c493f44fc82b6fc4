"""Who belongs to a community: each address with its role, its site and the key that verifies it.

In a simulation everybody is known from the start. Where sites come and go, a `MemberRegister` learns them
from certificates that the market operator signs.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from behaviours.signing import Signer
from ontology.errors import Refused
from ontology.membership import CertifiedMember, MemberCertificate
from ontology.roles import Role

__all__ = ["Member", "MemberRegister", "Membership", "certified", "is_certified_by"]

_CONTEXT = b"parity-mas member certificate\n"
"""Keeps a signature of a certificate from being taken for one of a letter."""


@dataclass(frozen=True, slots=True)
class Member:
    """An agent as the others know it."""

    address: str
    role: Role
    site: str = ""
    verify_key: bytes = b""
    """Raw Ed25519 public key (32 bytes); empty where the member signs nothing."""
    is_portal: bool = False
    """Whether it brings what people and programs outside want said."""
    assets: tuple[str, ...] = ()
    """What belongs to its site without bearing its name, such as charge points."""


Membership = Mapping[str, Member]
"""The register of a community by address; who is not in it is refused."""


def certified(
    signer: Signer,
    site: str,
    members: Iterable[Member],
    issued_at_s: int,
    valid_until_s: int,
    *,
    is_revoked: bool = False,
) -> MemberCertificate:
    """Return a certificate of a site's agents, signed by the market operator."""
    told = [
        CertifiedMember(address=m.address, role=m.role, verify_key=m.verify_key.hex())
        for m in sorted(members, key=lambda each: each.address)
    ]
    plain = MemberCertificate(
        site=site,
        members=told,
        issued_at_s=issued_at_s,
        valid_until_s=valid_until_s,
        is_revoked=is_revoked,
    )
    signature = urlsafe_b64encode(signer.sign_bytes(_signed_part(plain))).decode()
    return msgspec.structs.replace(plain, signature=signature)


def is_certified_by(certificate: MemberCertificate, verify_key: bytes) -> bool:
    """Tell whether a certificate bears the signature of a public key."""
    try:
        Ed25519PublicKey.from_public_bytes(verify_key).verify(
            urlsafe_b64decode(certificate.signature), _signed_part(certificate)
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def _signed_part(certificate: MemberCertificate) -> bytes:
    plain = msgspec.structs.replace(certificate, signature="")
    return _CONTEXT + msgspec.json.encode(plain, order="deterministic")


class MemberRegister(Membership):
    """The register as a host knows it: own agents, and those whose certificates it has learnt.

    `counts` tells how many certificates were `learnt` and `refused`.
    """

    def __init__(
        self,
        authority: bytes,
        own: Iterable[Member],
        now_s: Callable[[], float],
    ) -> None:
        """Begin with one's own agents.

        Args:
            authority: the market operator's public key.
            own: agents of this host, which need no certificate here.
            now_s: the present, by which certificates run out.
        """
        self.counts: Counter[str] = Counter()
        self._authority = authority
        self._own = {member.address: member for member in own}
        self._now_s = now_s
        self.changed: Callable[[], None] = lambda: None
        """Called whenever a certificate was learnt, to write them down."""
        self._certificates: dict[str, MemberCertificate] = {}
        self._by_address: dict[str, tuple[Member, int]] = {}

    @property
    def certificates(self) -> Mapping[str, MemberCertificate]:
        """The certificates that hold, or say that they do not hold any more, by site."""
        return self._certificates

    @property
    def newest_s(self) -> int:
        """When the newest certificate known here was issued."""
        return max((each.issued_at_s for each in self._certificates.values()), default=0)

    def learn(self, certificate: MemberCertificate) -> bool:
        """Take a certificate up, unless a later one of the same site is known; tell whether it was news.

        Raises: Refused when it is not the market operator's, or claims an address that is another site's.
        """
        known = self._certificates.get(certificate.site)
        if known is not None and known.issued_at_s >= certificate.issued_at_s:
            return False
        try:
            self._require_trustworthy(certificate)
        except Refused:
            self.counts["refused"] += 1
            raise
        self.counts["learnt"] += 1
        self._certificates[certificate.site] = certificate
        self._index()
        self.changed()
        return True

    def _require_trustworthy(self, certificate: MemberCertificate) -> None:
        if not is_certified_by(certificate, self._authority):
            raise Refused(
                f"the certificate of {certificate.site or 'the community'} is not signed by the market"
            )
        for member in certificate.members:
            holder = self.get(member.address)
            if holder is not None and holder.site != certificate.site:
                raise Refused(f"{member.address} belongs to {holder.site or 'the community'}")

    def _index(self) -> None:
        self._by_address = {
            each.address: (
                Member(each.address, each.role, certificate.site, bytes.fromhex(each.verify_key)),
                certificate.valid_until_s,
            )
            for certificate in self._certificates.values()
            if not certificate.is_revoked
            for each in certificate.members
        }

    def __getitem__(self, address: str) -> Member:
        own = self._own.get(address)
        if own is not None:
            return own
        member, until_s = self._by_address[address]
        if self._now_s() >= until_s:
            raise KeyError(address)
        return member

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        now_s = self._now_s()
        yield from (
            address
            for address, (_, until_s) in self._by_address.items()
            if address not in self._own and now_s < until_s
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)
