"""Compiles the contracts: `python -m contracts.compile` writes the artefacts, `--check` compares them.

Vyper is needed here only; whoever runs the software uses the artefacts.
"""

import argparse
import sys
from collections.abc import Sequence
from hashlib import sha256

import msgspec

from contracts.artefact import SOURCES, Artefact, path_of

__all__ = ["compile_contract", "encode_artefact", "main"]

CONTRACTS = ("settlement", "registry", "service_levels", "balance_roots")


def compile_contract(contract: str) -> Artefact:
    """Compile a contract of this folder with the installed Vyper."""
    import vyper
    from vyper.compiler.input_bundle import FilesystemInputBundle

    source = (SOURCES / f"{contract}.vy").read_text(encoding="utf-8")
    modules = [path for path in sorted(SOURCES.glob("*.vy")) if f"\nimport {path.stem}\n" in source]
    output = vyper.compile_code(
        source,
        output_formats=["abi", "bytecode", "bytecode_runtime"],
        input_bundle=FilesystemInputBundle([SOURCES]),
    )
    sources = "".join([source, *(path.read_text(encoding="utf-8") for path in modules)])
    return Artefact(
        contract=contract,
        compiler=f"vyper {vyper.__version__}",
        source_sha256=sha256(sources.encode()).hexdigest(),
        abi=output["abi"],
        bytecode=output["bytecode"],
        runtime=output["bytecode_runtime"],
    )


def encode_artefact(artefact: Artefact) -> bytes:
    """Return an artefact as the bytes of its file."""
    return msgspec.json.format(msgspec.json.encode(artefact), indent=1) + b"\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write every artefact, or with --check return 1 when one does not match its source."""
    parser = argparse.ArgumentParser(prog="python -m contracts.compile", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    check = parser.parse_args(arguments).check
    stale = []
    for contract in CONTRACTS:
        path = path_of(contract)
        fresh = encode_artefact(compile_contract(contract))
        if check and (not path.exists() or path.read_bytes() != fresh):
            stale.append(path.name)
        elif not check:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(fresh)
    if stale:
        print(f"stale: {', '.join(stale)}; run python -m contracts.compile", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
