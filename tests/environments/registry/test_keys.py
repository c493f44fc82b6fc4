"""Keys: apart from what they open, wrapped, and gone for good once destroyed."""

import shutil

import pytest
from registry_samples import NOW_S

import environments.registry.keys as keys_module
from behaviours.decisions.pseudonyms import epoch_of
from environments.registry import KeyStore
from ontology.errors import Conflict, InvalidInput, Unavailable
from ontology.privacy import PseudonymScope

EPOCH = epoch_of(NOW_S)
LEM = PseudonymScope.LEM


class Killed(BaseException):
    """The process died here."""


@pytest.fixture
def folder(tmp_path):
    KeyStore.create(tmp_path / "keys").close()
    return tmp_path / "keys"


def test_keys_are_there_again_after_a_restart(folder):
    store = KeyStore(folder)
    kept = store.create_person("u_1"), store.of_scope(LEM, EPOCH), store.box_public_key, store.index_key
    store.close()
    again = KeyStore(folder)
    assert (again.of_person("u_1"), again.of_scope(LEM, EPOCH), again.box_public_key, again.index_key) == kept


def test_a_destroyed_key_is_gone_and_the_others_are_not(folder):
    store = KeyStore(folder)
    store.create_person("u_1")
    other = store.create_person("u_2")
    assert store.destroy_person("u_1")
    assert not store.destroy_person("u_1")
    assert (store.of_person("u_1"), store.of_person("u_2")) == (None, other)


def test_a_copy_from_before_is_worthless_without_the_old_master_key(folder, tmp_path):
    store = KeyStore(folder)
    store.create_person("u_1")
    shutil.copy(folder / "keys.sqlite", tmp_path / "backup.sqlite")
    store.destroy_person("u_1")
    store.close()
    shutil.copy(tmp_path / "backup.sqlite", folder / "keys.sqlite")
    with pytest.raises(Conflict):
        KeyStore(folder)


@pytest.mark.parametrize("dies_at", ["_write_key", "_finished_rotation"])
def test_killed_while_all_keys_are_wrapped_anew_it_is_done_or_not(folder, monkeypatch, dies_at):
    store = KeyStore(folder)
    store.create_person("u_1")
    other = store.create_person("u_2")

    def dies(*_):
        raise Killed

    target = keys_module if dies_at == "_write_key" else store
    with monkeypatch.context() as patch:
        patch.setattr(target, dies_at, dies)
        with pytest.raises(Killed):
            store.destroy_person("u_1")
    store.close()
    again = KeyStore(folder)
    assert again.of_person("u_2") == other
    assert (again.of_person("u_1") is None) == (dies_at == "_finished_rotation")
    again.destroy_person("u_1")
    assert again.of_person("u_1") is None


def test_another_process_goes_on_with_the_new_master_key(folder):
    one, other = KeyStore(folder), KeyStore(folder)
    key = one.create_person("u_1")
    one.rotate()
    assert other.of_person("u_1") == key
    later = other.create_person("u_2")
    assert one.of_person("u_2") == later


def test_an_epoch_whose_key_was_destroyed_gets_no_other(folder):
    store = KeyStore(folder)
    kept = store.of_scope(LEM, EPOCH)
    store.of_scope(LEM, EPOCH - 1)
    assert store.forget_epochs(EPOCH) == 1
    with pytest.raises(Unavailable):
        store.of_scope(LEM, EPOCH - 1)
    assert store.of_scope(LEM, EPOCH) == kept


def test_every_scope_and_epoch_has_a_key_of_its_own(folder):
    store = KeyStore(folder)
    found = {store.of_scope(scope, epoch) for scope in PseudonymScope for epoch in (EPOCH, EPOCH + 1)}
    assert len(found) == 2 * len(PseudonymScope)


def test_a_master_key_that_others_may_read_is_refused(folder):
    (folder / "master.key").chmod(0o644)
    with pytest.raises(InvalidInput, match="0o600"):
        KeyStore(folder)


def test_no_key_lies_open_in_the_file_of_keys(folder):
    store = KeyStore(folder)
    key = store.create_person("u_1")
    held = (folder / "keys.sqlite").read_bytes()
    assert key not in held
    assert key.hex().encode() not in held


def test_a_registry_is_not_made_twice(folder):
    with pytest.raises(Conflict):
        KeyStore.create(folder)
    with pytest.raises(Unavailable, match="registry init"):
        KeyStore(folder.parent / "elsewhere")
