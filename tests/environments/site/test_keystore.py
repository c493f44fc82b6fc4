"""Keys of a host: drawn once, for their owner alone, never in a log."""

import os

import pytest

from environments.site.files import write_whole
from environments.site.keystore import Keystore, keystore_file
from ontology.errors import InvalidInput, Unavailable

ADDRESS = "h001-gateway@street"


def test_keys_come_back_as_they_were_written_for_the_owner_alone(tmp_path):
    file = tmp_path / "data" / "keystore.json"
    drawn = Keystore.drawn([ADDRESS])
    drawn.write(file)
    read = Keystore.read(file)
    assert (read.agents, read.secret) == (drawn.agents, drawn.secret)
    assert file.stat().st_mode & 0o777 == 0o600
    assert read.agents[ADDRESS].signer().verify_key == drawn.agents[ADDRESS].signer().verify_key


def test_no_two_agents_have_a_key_in_common():
    agents = Keystore.drawn(["a@street", "b@street"]).agents.values()
    secrets = [key for each in agents for key in (each.password, each.signing_key, each.ledger_key)]
    assert len({*secrets}) == 6


def test_a_further_agent_gets_keys_and_the_others_keep_theirs():
    before = Keystore.drawn([ADDRESS])
    after = before.extended([ADDRESS, "h001-pv@street"])
    assert after.agents[ADDRESS] == before.agents[ADDRESS]
    assert set(after.agents) == {ADDRESS, "h001-pv@street"}


def test_secrets_do_not_show_in_logs():
    keys = Keystore.drawn([ADDRESS])
    assert keys.agents[ADDRESS].password not in f"{keys!r} {keys.agents!r}"


@pytest.mark.parametrize("content", [b"", b"{}", b'{"agents": {"a": {}}, "secret": ""}', b"\xff"])
def test_a_damaged_keystore_is_not_used(tmp_path, content):
    file = tmp_path / "keystore.json"
    write_whole(file, content, mode=0o600)
    with pytest.raises(InvalidInput):
        Keystore.read(file)


def test_a_keystore_that_others_can_read_is_not_used(tmp_path):
    file = tmp_path / "keystore.json"
    Keystore.drawn([ADDRESS]).write(file)
    file.chmod(0o640)
    with pytest.raises(InvalidInput, match="0600"):
        Keystore.read(file)


def test_the_service_managers_credential_comes_first(tmp_path):
    handed = tmp_path / "credentials"
    handed.mkdir()
    (handed / "keystore").touch()
    assert keystore_file(tmp_path, {"CREDENTIALS_DIRECTORY": str(handed)}) == handed / "keystore"
    assert keystore_file(tmp_path, {}) == tmp_path / "keystore.json"


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "terms.json"
    write_whole(file, b"before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space left"):
        write_whole(file, b"after")
    assert file.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [file]
