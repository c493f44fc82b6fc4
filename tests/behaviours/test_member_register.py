"""Certificates of the market operator decide who is a member, for as long as they hold."""

import msgspec
import pytest

from behaviours.membership import Member, MemberRegister, certified, is_certified_by
from behaviours.signing import Signer
from ontology.errors import Refused
from ontology.roles import Role

MARKET, STRANGER = Signer(b"m" * 32), Signer(b"s" * 32)
GATEWAY = Member("h001-gateway@street", Role.GATEWAY, "h001", Signer(b"g" * 32).verify_key)


class At:
    """A time that a test sets."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def register(now: At | None = None) -> MemberRegister:
    own = Member("market@street", Role.MARKET_OPERATOR, "", MARKET.verify_key)
    return MemberRegister(MARKET.verify_key, [own], now or At(1_000))


def certificate(signer=MARKET, members=(GATEWAY,), issued_at_s=1_000, site="h001", **changes):
    return certified(signer, site, members, issued_at_s, issued_at_s + 100, **changes)


def test_a_site_is_a_member_from_its_certificate_until_that_runs_out():
    now = At(1_000)
    known = register(now)
    assert GATEWAY.address not in known
    assert known.learn(certificate())
    assert known[GATEWAY.address] == GATEWAY
    assert set(known) == {"market@street", GATEWAY.address}
    now.now_s = 1_100
    assert GATEWAY.address not in known
    assert list(known) == ["market@street"]


def test_a_later_certificate_replaces_an_earlier_one_and_never_the_other_way_round():
    known = register()
    renewed = msgspec.structs.replace(certificate(issued_at_s=1_050))
    assert known.learn(renewed)
    assert not known.learn(certificate(issued_at_s=1_000))
    assert known.certificates["h001"] == renewed


def test_a_revoked_site_is_no_member_and_its_old_certificate_does_not_bring_it_back():
    known = register()
    known.learn(certificate())
    known.learn(certificate(issued_at_s=1_001, is_revoked=True))
    known.learn(certificate())
    assert GATEWAY.address not in known


def test_a_certificate_by_anybody_else_is_refused_and_counted():
    known = register()
    with pytest.raises(Refused, match="not signed by the market"):
        known.learn(certificate(signer=STRANGER))
    assert known.counts["refused"] == 1
    assert GATEWAY.address not in known


@pytest.mark.parametrize(
    "altered",
    [
        {"site": "h002"},
        {"valid_until_s": 99_999},
        {"is_revoked": True},
        {"members": []},
        {"signature": ""},
        {"signature": "no base64!"},
    ],
    ids=lambda each: next(iter(each)),
)
def test_an_altered_certificate_is_refused(altered):
    changed = msgspec.structs.replace(certificate(), **altered)
    assert not is_certified_by(changed, MARKET.verify_key)
    with pytest.raises(Refused):
        register().learn(changed)


@pytest.mark.parametrize(
    "claimed", ["market@street", "h001-gateway@street"], ids=["community's", "another's"]
)
def test_a_certificate_cannot_claim_an_address_that_is_another_sites(claimed):
    known = register()
    known.learn(certificate())
    taken = certificate(site="h002", members=[Member(claimed, Role.GATEWAY, "h002", STRANGER.verify_key)])
    with pytest.raises(Refused, match="belongs to"):
        known.learn(taken)


def test_whoever_writes_certificates_down_hears_of_each_that_was_learnt():
    known, told = register(), []
    known.changed = lambda: told.append(known.newest_s)
    known.learn(certificate())
    known.learn(certificate())
    assert told == [1_000]
