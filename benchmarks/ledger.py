"""What the embedded chain costs a member and interval: `python -m benchmarks.ledger [members ...]`."""

import asyncio
import sys
from statistics import median
from time import process_time

import numpy as np

from contracts import EvmLedger

__all__ = ["settling_cost"]

BATCHES = 12


def settling_cost(members: int) -> dict[str, float]:
    """Settle some batches of all members; return median CPU ms and gas a member, and CPU s to open."""
    ledger = EvmLedger.embedded()
    names = [f"member-{number}" for number in range(members)]
    gas = _gas_meter(ledger)

    async def run() -> dict[str, float]:
        began = process_time()
        await ledger.open_accounts({"aggregator": 10**12} | dict.fromkeys(names, 10**6))
        opening_s = process_time() - began
        gas.clear()
        spent = [await _settle(ledger, names, number) for number in range(BATCHES)]
        began = process_time()
        await ledger.balances(names)
        asking_ms = (process_time() - began) * 1e3
        return {
            "members": members,
            "settle_ms": median(spent) * 1e3 / members,
            "gas": median(gas) / members,
            "balances_ms": asking_ms / members,
            "open_s": opening_s,
        }

    return asyncio.run(run())


async def _settle(ledger: EvmLedger, names: list[str], number: int) -> float:
    rng = np.random.default_rng(number)
    entries = dict(zip(names, rng.integers(-3_000, 2_000, len(names)).tolist(), strict=True))
    entries["aggregator"] = -sum(entries.values())
    began = process_time()
    await ledger.settle(f"interval-{number}", entries, 900 * number)
    return process_time() - began


def _gas_meter(ledger: EvmLedger) -> list[int]:
    """Note the gas of every transaction of a ledger from now on."""
    used: list[int] = []
    send = ledger._chain.transact

    def metered(*args, **kwargs):  # type: ignore[no-untyped-def]
        mined = send(*args, **kwargs)
        used.append(mined.gas)
        return mined

    ledger._chain.transact = metered  # type: ignore[method-assign]
    return used


if __name__ == "__main__":
    print(f"{'members':>8} {'settle ms':>10} {'gas':>8} {'balances ms':>12} {'open s':>7}   (a member, CPU)")
    for members in map(int, sys.argv[1:] or ("10", "100", "1000")):
        cost = settling_cost(members)
        print("{members:8.0f} {settle_ms:10.2f} {gas:8.0f} {balances_ms:12.3f} {open_s:7.1f}".format(**cost))
