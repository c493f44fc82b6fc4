"""The files of a Besu network, as far as they can be checked without Besu."""

import json
import stat
import tomllib

import pytest
import rlp
import yaml
from eth_keys import keys
from web3.middleware.proof_of_authority import extradata_to_poa_cleanup

from contracts.artefact import load_artefact
from contracts.besu import extra_data, genesis, validators_in, write_network
from ontology.errors import InvalidInput

NAMES = ["dso", "aggregator", "h001", "h002"]
PUBLISHED = (
    [
        "f92393af043e2c146ab73aa632c658f727783b2c",
        "36a446957018c3c3ca0984bdef294d88d2ab8228",
        "8aac4c95236a9ed807cf3eca5261064577960f89",
        "60c2e4fbd0ac90dbbda4502f189170a41e360169",
        "baf50f31fdd31c95b0722ffeb54bf0ddebb4c270",
    ],
    "f88fa00000000000000000000000000000000000000000000000000000000000000000f869"
    "94f92393af043e2c146ab73aa632c658f727783b2c9436a446957018c3c3ca0984bdef294d88d2ab8228"
    "948aac4c95236a9ed807cf3eca5261064577960f899460c2e4fbd0ac90dbbda4502f189170a41e360169"
    "94baf50f31fdd31c95b0722ffeb54bf0ddebb4c270c080c0",
)
"""Five validators, and what the first block of a public example network of theirs says."""


@pytest.fixture
def network(tmp_path):
    write_network(tmp_path / "network", NAMES)
    return tmp_path / "network"


def loaded(network):
    return json.loads((network / "genesis.json").read_text())


def test_validators_are_encoded_as_in_a_published_network():
    addresses, expected = PUBLISHED
    assert extra_data([bytes.fromhex(each) for each in addresses]).hex() == expected


def test_the_first_block_names_who_has_the_keys(network):
    vanity, validators, votes, round_, seals = rlp.decode(bytes.fromhex(loaded(network)["extraData"][2:]))
    assert (vanity, votes, round_, seals) == (bytes(32), [], b"", [])
    own = [keys.PrivateKey(bytes.fromhex((network / n / "node.key").read_text().strip()[2:])) for n in NAMES]
    assert validators == [key.public_key.to_canonical_address() for key in own]


def test_the_clients_middleware_reads_such_blocks(network):
    block = extradata_to_poa_cleanup({"extraData": bytes.fromhex(loaded(network)["extraData"][2:])})
    assert len(block["proofOfAuthorityData"]) > 32


def test_the_chain_has_free_gas_room_for_the_contracts_and_their_rules(network):
    first = loaded(network)
    assert (first["config"]["chainId"], first["config"]["zeroBaseFee"]) == (7_272, True)
    assert int(first["gasLimit"], 16) > 10**9
    assert first["config"]["cancunTime"] == 0
    assert len(load_artefact("settlement").runtime) // 2 < 24_576
    assert genesis([bytes(20)], 5, 3)["config"]["qbft"]["blockperiodseconds"] == 3


def test_every_node_knows_the_others_and_answers_on_loopback_only(network):
    enodes = json.loads((network / "static-nodes.json").read_text())
    assert len(set(enodes)) == 4
    services = yaml.safe_load((network / "compose.yaml").read_text())["services"]
    for number, (name, enode) in enumerate(zip(NAMES, enodes, strict=True)):
        settings = tomllib.loads((network / name / "config.toml").read_text())
        assert enode.endswith(f"@{settings['p2p-host']}:{settings['p2p-port']}")
        assert services[name]["networks"]["validators"]["ipv4_address"] == settings["p2p-host"]
        assert services[name]["ports"] == [f"127.0.0.1:{8545 + number}:8545"]
        assert settings["min-gas-price"] == 0


def test_on_machines_of_their_own_nodes_answer_their_own_machine_only(tmp_path):
    write_network(tmp_path / "n", [f"{name}@192.0.2.{n}" for n, name in enumerate(NAMES, 1)])
    assert not (tmp_path / "n" / "compose.yaml").exists()
    settings = tomllib.loads((tmp_path / "n" / "h001" / "config.toml").read_text())
    assert (settings["p2p-host"], settings["rpc-http-host"]) == ("192.0.2.3", "127.0.0.1")


def test_keys_are_for_their_owner_only_and_never_overwritten(network):
    for path in (network / "operator.key", network / "dso" / "node.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(InvalidInput, match="no key is overwritten"):
        write_network(network, NAMES)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (NAMES[:3], "4 at least"),
        ([*NAMES, "dso"], "each name once"),
        ([*NAMES, "../x"], "lower-case letters"),
        ([*NAMES[:3], "h002@192.0.2.4"], "a host for each, or for none"),
        ([f"{name}@host:port" for name in NAMES], "a port number"),
    ],
)
def test_validators_that_make_no_network_are_named(names, expected):
    with pytest.raises(InvalidInput, match=expected):
        validators_in(names)
