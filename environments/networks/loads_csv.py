"""Files of loads (CSV): what sites draw at one instant, or over time."""

import csv
from collections.abc import Sequence
from datetime import datetime
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from behaviours.decisions.grid.network import Network
from behaviours.decisions.grid.power_flow import own_phase
from environments.networks.load_series import LoadSeries
from ontology.errors import InvalidInput, Problem, problem

__all__ = ["read_series", "read_snapshot"]

MOST_PROBLEMS = 50
MOST_W = 10e6
TOTALS = ("power_w", "reactive_var")
PHASES = tuple(f"l{phase}_{unit}" for unit in ("w", "var") for phase in (1, 2, 3))


def read_snapshot(path: Path, networks: Sequence[Network], reactive_per_w: float) -> NDArray[np.complex128]:
    """Read what sites draw: the column `site`, then `power_w` (`reactive_var`), or `l1_w` to `l3_var`.

    A total is on the phases that the site has. Sites that are not named draw nothing; columns that are
    missing are zero, reactive power follows the power factor.

    Args:
        path: the file.
        networks: theirs are the sites, in this order.
        reactive_per_w: var per W where the file has no reactive power.

    Returns: (sites, 3) W + j var.

    Raises: InvalidInput naming everything that is wrong with it.
    """
    header, rows = _rows(path)
    problems = _header_problems(header)
    row_of = _row_of(networks)
    share = np.concatenate([own_phase(each.site_phase) for each in networks])
    power = np.zeros((len(share), 3), dtype=np.complex128)
    seen: set[str] = set()
    for line, cells in rows if not problems else ():
        values = dict(zip(header, cells, strict=True))
        site = values.pop("site")
        if site not in row_of or site in seen:
            expected = "every site once" if site in seen else _expected_site(row_of)
            problems.append(problem(f"line {line}, site", site, expected))
            continue
        seen.add(site)
        numbers = {name: _number(line, name, text, problems) for name, text in values.items()}
        power[row_of[site]] = _power(numbers, share[row_of[site]], reactive_per_w)
    _raise(problems)
    return power


def read_series(path: Path, networks: Sequence[Network]) -> LoadSeries:
    """Read powers over time: the column `time` (ISO 8601 with an offset), then one a site, in W.

    Sites without a column draw nothing.

    Raises: InvalidInput naming everything that is wrong with it.
    """
    header, rows = _rows(path)
    row_of = _row_of(networks)
    problems = [problem("line 1", header[0] if header else "", "time")] if header[:1] != ["time"] else []
    for position, site in enumerate(header[1:], 1):
        if site not in row_of or site in header[:position]:
            expected = _expected_site(row_of) if site not in row_of else "every site once"
            problems.append(problem(f"line 1, column {position + 1}", site, expected))
    if not rows:
        problems.append(problem("line 2", "", "a line for each instant"))
    _raise(problems)
    columns = [row_of[site] for site in header[1:]]
    times_s = np.zeros(len(rows), dtype=np.int64)
    power_w = np.zeros((len(rows), sum(len(each.sites) for each in networks)))
    for index, (line, cells) in enumerate(rows):
        times_s[index] = _time_s(line, cells[0], problems)
        if index and times_s[index] <= times_s[index - 1] and not problems:
            problems.append(problem(f"line {line}, time", cells[0], "later than the line before"))
        power_w[index, columns] = [
            _number(line, site, text, problems) for site, text in zip(header[1:], cells[1:], strict=True)
        ]
    _raise(problems)
    return LoadSeries(times_s, power_w)


def _rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header and the numbered lines that are not empty, all as long as the header."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [(number, cells) for number, cells in enumerate(csv.reader(file), 1) if cells]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "unreadable"
        raise InvalidInput(problem(str(path), reason, "a CSV file that can be read")) from None
    if not lines:
        raise InvalidInput(problem(str(path), "", "a CSV file with a header"))
    header = [each.strip() for each in lines[0][1]]
    _raise(
        [
            problem(f"line {number}", f"{len(cells)} cells", f"{len(header)}, as the header has")
            for number, cells in lines[1:]
            if len(cells) != len(header)
        ]
    )
    return header, lines[1:]


def _header_problems(header: Sequence[str]) -> list[Problem]:
    expected = f"site and {', '.join(TOTALS)}, or site and {', '.join(PHASES)}"
    names = set(header) - {"site"}
    known = names and (names <= set(TOTALS) or names <= set(PHASES)) and names & {"power_w", *PHASES[:3]}
    if "site" in header and known and len(set(header)) == len(header):
        return []
    return [problem("line 1", ",".join(header), expected)]


def _row_of(networks: Sequence[Network]) -> dict[str, int]:
    """Return the row of every site.

    Raises: InvalidInput when two networks have a site of one name.
    """
    names = [site for each in networks for site in each.sites]
    twice = sorted({name for name in names if names.count(name) > 1})
    _raise(
        [problem("NETWORK", name, "sites of different names, to be told apart in a file") for name in twice]
    )
    return {name: row for row, name in enumerate(names)}


def _expected_site(row_of: dict[str, int]) -> str:
    names = list(row_of)
    return f"a site of the network: {', '.join(names[:4])}{', …' if len(names) > 4 else ''}"


def _power(
    numbers: dict[str, float], share: NDArray[np.float64], reactive_per_w: float
) -> NDArray[np.complex128]:
    if "power_w" in numbers:
        active = numbers["power_w"] * share
        stated = numbers["reactive_var"] * share if "reactive_var" in numbers else None
    else:
        active = np.array([numbers.get(name, 0.0) for name in PHASES[:3]])
        stated = (
            np.array([numbers.get(name, 0.0) for name in PHASES[3:]])
            if set(PHASES[3:]) & set(numbers)
            else None
        )
    reactive = reactive_per_w * active if stated is None else stated
    power: NDArray[np.complex128] = active + 1j * reactive
    return power


def _number(line: int, name: str, text: str, problems: list[Problem]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if isfinite(value) and abs(value) <= MOST_W:
        return value
    problems.append(problem(f"line {line}, {name}", text, f"a number, {MOST_W:g} at most"))
    return 0.0


def _time_s(line: int, text: str, problems: list[Problem]) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is not None and found.tzinfo is not None:
        return int(found.timestamp())
    problems.append(problem(f"line {line}, time", text, "ISO 8601 with an offset: 2024-01-10T00:15:00Z"))
    return 0


def _raise(problems: list[Problem]) -> None:
    if problems:
        raise InvalidInput(problems[:MOST_PROBLEMS])
