"""The files of a Besu network with QBFT consensus: first block, keys, neighbours and configuration.

Gas costs nothing there, so nobody needs coins. QBFT stands f failed or lying validators of 3f + 1.
"""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rlp  # type: ignore[import-untyped]
import yaml
from eth_keys.datatypes import PrivateKey

from ontology.errors import InvalidInput, problem

__all__ = ["CHAIN_ID", "Validator", "extra_data", "genesis", "validators_in", "write_network"]

CHAIN_ID = 7_272
NAME = re.compile("[a-z0-9][a-z0-9-]{0,39}")
P2P_PORT = 30_303
RPC_PORT = 8_545
IMAGE = "hyperledger/besu:25.7.0"
SUBNET = "172.28.72"
FIRST_ADDRESS = 11
FEWEST = 4
"""With fewer QBFT stands not a single failure."""
VANITY = bytes(32)
EPOCH_BLOCKS = 30_000
GAS_LIMIT = 0x1FFFFFFFFFFFFF
MIX_HASH = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"
"""By this Besu knows blocks of a Byzantine fault tolerant consensus."""
APIS = ("ETH", "NET", "WEB3", "QBFT", "TXPOOL")


@dataclass(frozen=True)
class Validator:
    """A node that makes blocks: its name, the address where others reach it, and its key."""

    name: str
    host: str
    port: int
    key: PrivateKey

    @property
    def address(self) -> bytes:
        """Who it is in the consensus."""
        return bytes(self.key.public_key.to_canonical_address())

    @property
    def enode(self) -> str:
        """Where its neighbours find it."""
        return f"enode://{self.key.public_key.to_hex()[2:]}@{self.host}:{self.port}"


def validators_in(names: Sequence[str]) -> tuple[list[Validator], bool]:
    """Return validators with new keys, and whether all of them live in one network of containers.

    Args: names: `name`, or `name@host` or `name@host:port` where each has a machine of its own; all alike.
    Raises: InvalidInput with everything that is wrong.
    """
    parts = [name.partition("@") for name in names]
    hosted = {bool(host) for _, _, host in parts}
    problems = [
        problem("--validators", name, "lower-case letters, digits and hyphens")
        for name, _, _ in parts
        if not NAME.fullmatch(name)
    ]
    if len({name for name, _, _ in parts}) < len(parts):
        problems.append(problem("--validators", ",".join(names), "each name once"))
    if len(parts) < FEWEST:
        problems.append(problem("--validators", str(len(parts)), f"{FEWEST} at least, to stand a failure"))
    if len(hosted) > 1:
        problems.append(problem("--validators", ",".join(names), "a host for each, or for none"))
    if problems:
        raise InvalidInput(problems)
    return [_validator(number, *part) for number, part in enumerate(parts)], hosted == {False}


def _validator(number: int, name: str, _: str, host: str) -> Validator:
    address, _, port = host.partition(":")
    if port and not port.isdigit():
        raise InvalidInput(problem("--validators", f"{name}@{host}", "a port number after the colon"))
    return Validator(
        name,
        address or f"{SUBNET}.{FIRST_ADDRESS + number}",
        int(port or P2P_PORT),
        PrivateKey(secrets.token_bytes(32)),
    )


def extra_data(validators: Sequence[bytes]) -> bytes:
    """Return what a QBFT chain's first block says, in RLP: vanity, validators, no vote, round 0, no seals."""
    return bytes(rlp.encode([VANITY, list(validators), [], b"", []]))


def genesis(validators: Sequence[bytes], chain_id: int = CHAIN_ID, block_s: int = 1) -> dict[str, Any]:
    """Return the first block of a network, and the rules of its chain.

    Rules are those of Cancun, which the contracts are compiled for.
    """
    return {
        "config": {
            "chainId": chain_id,
            "berlinBlock": 0,
            "londonBlock": 0,
            "shanghaiTime": 0,
            "cancunTime": 0,
            "zeroBaseFee": True,
            "qbft": {
                "blockperiodseconds": block_s,
                "epochlength": EPOCH_BLOCKS,
                "requesttimeoutseconds": 2 * block_s,
            },
        },
        "nonce": "0x0",
        "timestamp": "0x0",
        "gasLimit": hex(GAS_LIMIT),
        "difficulty": "0x1",
        "baseFeePerGas": "0x0",
        "mixHash": MIX_HASH,
        "coinbase": f"0x{bytes(20).hex()}",
        "extraData": f"0x{extra_data(validators).hex()}",
        "alloc": {},
    }


def write_network(
    folder: Path, names: Sequence[str], chain_id: int = CHAIN_ID, block_s: int = 1
) -> list[Path]:
    """Write a network's files into a new folder, and return their paths.

    Raises: InvalidInput when names do not fit, or the folder holds anything.
    """
    validators, in_containers = validators_in(names)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput(problem("OUT", str(folder), "a new or an empty folder: no key is overwritten"))
    first = genesis([each.address for each in validators], chain_id, block_s)
    written = [
        _write(folder / "genesis.json", _json(first)),
        _write(folder / "static-nodes.json", _json([each.enode for each in validators])),
        _write(folder / "operator.key", f"{secrets.token_hex(32)}\n", secret=True),
    ]
    for each in validators:
        own = folder / each.name
        written.append(_write(own / "node.key", f"{each.key.to_hex()}\n", secret=True))
        written.append(_write(own / "config.toml", _toml(config(each, in_containers))))
    if in_containers:
        compose = yaml.safe_dump(compose_file(validators), sort_keys=False)
        written.append(_write(folder / "compose.yaml", compose))
    return written


def config(validator: Validator, in_container: bool = False) -> dict[str, Any]:
    """Return the configuration of a node; paths are those inside its folder or container."""
    base = "/network" if in_container else "."
    return {
        "genesis-file": f"{base}/genesis.json",
        "static-nodes-file": f"{base}/static-nodes.json",
        "node-private-key-file": f"{base}/{validator.name}/node.key",
        "data-path": "/data" if in_container else f"{base}/{validator.name}/data",
        "p2p-host": validator.host,
        "p2p-port": validator.port,
        "discovery-enabled": False,
        "min-gas-price": 0,
        "sync-mode": "FULL",
        "tx-pool": "sequenced",
        "rpc-http-enabled": True,
        "rpc-http-host": "0.0.0.0" if in_container else "127.0.0.1",
        "rpc-http-port": RPC_PORT,
        "rpc-http-api": list(APIS),
        "host-allowlist": ["localhost", "127.0.0.1"],
        "revert-reason-enabled": True,
    }


def compose_file(validators: Sequence[Validator]) -> dict[str, Any]:
    """Return the services of all validators on one machine, each with a loopback port of its own."""
    services = {
        each.name: {
            "image": IMAGE,
            "command": [f"--config-file=/network/{each.name}/config.toml"],
            "user": "root",
            "volumes": ["./:/network:ro", f"{each.name}-data:/data"],
            "ports": [f"127.0.0.1:{RPC_PORT + number}:{RPC_PORT}"],
            "networks": {"validators": {"ipv4_address": each.host}},
            "restart": "unless-stopped",
        }
        for number, each in enumerate(validators)
    }
    return {
        "services": services,
        "networks": {"validators": {"ipam": {"config": [{"subnet": f"{SUBNET}.0/24"}]}}},
        "volumes": {f"{each.name}-data": {} for each in validators},
    }


def _toml(values: dict[str, Any]) -> str:
    """Return settings as TOML, whose values are here those of JSON."""
    return "".join(f"{name}={json.dumps(value)}\n" for name, value in values.items())


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _write(path: Path, text: str, secret: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600 if secret else 0o644)
    path.write_text(text, encoding="utf-8")
    return path
