"""One-time codes: right once, in time, and only after a few tries."""

import pytest

from environments.site.invitations import ERRORS_MAX, Invitations
from ontology.errors import InvalidInput, Refused


@pytest.fixture
def invitations(tmp_path):
    return Invitations(tmp_path / "invitations")


def test_a_code_opens_until_it_is_used_up(invitations):
    code = invitations.invite("h001", expires_s=100)
    invitations.require("h001", code, now_s=99)
    invitations.use_up("h001")
    with pytest.raises(Refused):
        invitations.require("h001", code, now_s=99)


def test_a_code_may_be_typed_in_small_letters_and_without_hyphens(invitations):
    code = invitations.invite("h001", expires_s=100)
    invitations.require("h001", f" {code.lower().replace('-', ' ')} ", now_s=0)


def test_a_code_stands_in_no_file(invitations, tmp_path):
    code = invitations.invite("h001", expires_s=100)
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*.json"))
    assert code.replace("-", "").encode() not in written.replace(b"-", b"")


@pytest.mark.parametrize(
    ("site", "now_s", "is_right"),
    [("h001", 100, True), ("h001", 0, False), ("h002", 0, True)],
    ids=["expired", "wrong", "another site's"],
)
def test_every_refusal_is_in_the_same_words(invitations, site, now_s, is_right):
    code = invitations.invite("h001", expires_s=100)
    with pytest.raises(Refused, match="this site is not invited with this code"):
        invitations.require(site, code if is_right else "AAAAA-AAAAA-AAAAA-AAAAA", now_s)


def test_a_code_that_was_guessed_at_too_often_is_void(invitations):
    code = invitations.invite("h001", expires_s=100)
    for _ in range(ERRORS_MAX):
        with pytest.raises(Refused):
            invitations.require("h001", "guess", now_s=0)
    with pytest.raises(Refused):
        invitations.require("h001", code, now_s=0)


def test_a_new_code_replaces_the_old_one(invitations):
    old, new = invitations.invite("h001", 100), invitations.invite("h001", 100)
    invitations.require("h001", new, now_s=0)
    with pytest.raises(Refused):
        invitations.require("h001", old, now_s=0)
    assert invitations.open_for(50) == {"h001": 100}
    assert invitations.open_for(100) == {}


@pytest.mark.parametrize("site", ["", "../keystore", "a/b", "h 1"])
def test_a_site_cannot_name_another_file(invitations, site):
    with pytest.raises(InvalidInput):
        invitations.require(site, "code", now_s=0)
