"""Addresses and secrets of systems outside: TLS away from this machine, secrets in files of their owner."""

from pathlib import Path

import pytest

from environments.wire.addresses import bearer_token, login_from, place_of, trust_in
from environments.wire.pauses import Pauses
from ontology.errors import InvalidInput

HTTP, MQTT = ("http", "https"), ("mqtt", "mqtts")


def test_an_address_is_taken_apart() -> None:
    place = place_of("mqtts://broker.example.org/dso/lv", *MQTT)
    assert (place.host, place.port, place.path, place.is_secured) == (
        "broker.example.org",
        8883,
        "dso/lv",
        True,
    )
    assert place_of("http://[::1]:8090/", *HTTP).url == "http://[::1]:8090"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://scada.example.org", "https:// (without TLS only on this machine)"),
        ("mqtt://192.168.1.7", "an address that begins with http:// or https://"),
        ("http://", "names a host"),
        ("https://dso:secret@scada.example.org", "no name or password"),
        ("https://scada.example.org?token=1", "nothing after the path"),
        ("http://localhost:99999", "an address"),
        ("http://[::1", "an address"),
    ],
)
def test_an_address_that_would_not_do_is_refused_without_showing_a_password(url: str, expected: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        place_of(url, *HTTP, path="source")
    assert expected in str(caught.value)
    assert "secret" not in str(caught.value)
    assert {each.path for each in caught.value.problems} == {"source"}


def kept(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "secret"
    file.touch(mode)
    file.write_text(text)
    file.chmod(mode)
    return file


def test_secrets_are_read_from_files_that_only_their_owner_may_read(tmp_path: Path) -> None:
    assert bearer_token(kept(tmp_path, "a-token-of-some-length\n")) == "a-token-of-some-length"
    login = login_from(kept(tmp_path, "dso:colons: are fine\n"))
    assert login == ("dso", "colons: are fine")
    assert "colons" not in repr(login)
    with pytest.raises(InvalidInput, match="only its owner may read"):
        bearer_token(kept(tmp_path, "a-token-of-some-length", 0o644))


@pytest.mark.parametrize("text", ["short", "", "with a space in it, so no"])
def test_a_token_that_is_none_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match="16 characters") as caught:
        bearer_token(kept(tmp_path, text))
    assert not text or text not in str(caught.value)


def test_what_is_no_login_or_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="name:password"):
        login_from(kept(tmp_path, "only-a-name"))
    with pytest.raises(InvalidInput, match="No such file"):
        login_from(tmp_path / "nothing")
    with pytest.raises(InvalidInput, match="certificates"):
        trust_in(kept(tmp_path, "no certificate"))


def test_pauses_grow_up_to_the_longest() -> None:
    pauses = Pauses(first_s=1, factor=2, longest_s=10)
    assert [pauses.after(failures) for failures in (0, 1, 2, 3, 4, 5, 10_000)] == [0, 1, 2, 4, 8, 10, 10]
