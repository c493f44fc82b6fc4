"""Low-voltage grids of SimBench by their codes (the extra `simbench`): study cases, and a year of profiles.

SimBench (Meinecke et al., Energies 13, 3290, 2020) hands out pandapower networks, which our reader of such
files reads. Its grids do not say zero sequence impedances, and its loads have all three phases.
"""

import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from environments.networks.case import NetworkCase
from environments.networks.load_series import LoadSeries
from environments.networks.pandapower_file import DRAWS, cases_from_pandapower
from ontology.errors import InvalidInput, Unavailable, problem

__all__ = ["AVAILABLE", "EXAMPLE", "SIMBENCH", "is_simbench", "read_simbench", "simbench_series"]

AVAILABLE = find_spec("simbench") is not None
SIMBENCH = "simbench:"
LOW_VOLTAGE = "1-LV-"
EXAMPLE = "1-LV-rural1--0-sw"
PROFILES_ZONE = ZoneInfo("Europe/Berlin")
"""Of the profiles' times; in autumn an hour comes twice."""
STEP_S = 900
TAP_CHANGER = "Ratio"
"""SimBench gives positions of taps without their kind, which pandapower 3 would therefore not count."""


def is_simbench(name: str) -> bool:
    """Return whether a network's name is that of a SimBench grid, which need not exist."""
    return name.startswith(SIMBENCH)


def read_simbench(name: str) -> list[NetworkCase]:
    """Return the network of a code with the loads of a study case or a step of its profiles.

    Args:
        name: `simbench:1-LV-rural1--0-sw` (everything at its rating), behind `@` a study case such as `hL` or
            `lPV`, or a step of the year, from 1.

    Raises: InvalidInput when there is no such grid, case or step, Unavailable without SimBench.
    """
    code, _, chosen = name.removeprefix(SIMBENCH).partition("@")
    if not chosen:
        return cases_from_pandapower(_as_json(_grid(code)), code)
    grid = deepcopy(_grid(code))
    for (table, column), value in _chosen_values(grid, name, chosen).items():
        if len(grid[table]):
            grid[table][column] = value
    return cases_from_pandapower(_as_json(grid), code)


def simbench_series(name: str) -> LoadSeries:
    """Return what the sites of a grid draw in the year of its profiles.

    Raises: InvalidInput when there is no such grid, Unavailable without SimBench.
    """
    code = name.removeprefix(SIMBENCH).partition("@")[0]
    grid = _grid(code)
    (case,) = cases_from_pandapower(_as_json(grid), code)
    times = grid.profiles["load"]["time"]
    times_s = _time_s(times.iloc[0]) + STEP_S * np.arange(len(times), dtype=np.int64)
    active, reactive = (
        _of_sites(case.network.sites, grid, _absolute(grid, profiles=True), column, len(times_s))
        for column in ("p_mw", "q_mvar")
    )
    return LoadSeries(times_s, active, reactive)


def _of_sites(
    sites: Sequence[str], grid: Any, values: Mapping[tuple[str, str], Any], column: str, instants: int
) -> Any:
    """Return W or var of sites (T, sites), consumption positive, from MW or Mvar by table."""
    found = np.zeros((instants, len(sites)))
    position = {site: index for index, site in enumerate(sites)}
    for table, sign in DRAWS.items():
        if (frame := values.get((table, column))) is None:
            continue
        names, scaling = grid[table]["name"], grid[table]["scaling"]
        for element in frame.columns:
            if (site := position.get(names[element])) is not None:
                found[:, site] = sign * 1e6 * scaling[element] * frame[element].to_numpy()
    return found


def _chosen_values(grid: Any, name: str, chosen: str) -> dict[tuple[str, str], Any]:
    """Return values by table and column of a study case (batteries idle) or a step of the profiles."""
    values = _absolute(grid, profiles=chosen.isdecimal())
    cases = [str(each) for each in grid.loadcases.index]
    steps = len(grid.profiles["load"])
    if not (1 <= int(chosen) <= steps if chosen.isdecimal() else chosen in cases):
        expected = f"behind @ a study case ({', '.join(cases)}), or a step of 1 to {steps}"
        raise InvalidInput(problem("NETWORK", name, expected))
    if chosen.isdecimal():
        return {key: frame.iloc[int(chosen) - 1] for key, frame in values.items()}
    return {key: frame.loc[chosen] for key, frame in values.items()} | {("storage", "p_mw"): 0.0}


@cache
def _grid(code: str) -> Any:
    """Return SimBench's pandapower network of a code, which stays as it is.

    Raises: InvalidInput when there is no such low-voltage grid, Unavailable without SimBench.
    """
    simbench = _simbench()
    known = [each for each in simbench.collect_all_simbench_codes() if each.startswith(LOW_VOLTAGE)]
    if code not in known:
        expected = f"a low-voltage grid of SimBench, such as {SIMBENCH}{EXAMPLE}"
        raise InvalidInput(problem("NETWORK", f"{SIMBENCH}{code}", expected))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        grid = simbench.get_simbench_net(code)
    grid.trafo["tap_changer_type"] = TAP_CHANGER
    return grid


def _absolute(grid: Any, *, profiles: bool) -> dict[tuple[str, str], Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: dict[tuple[str, str], Any] = _simbench().get_absolute_values(
            grid, profiles_instead_of_study_cases=profiles
        )
    return found


def _as_json(grid: Any) -> str:
    from pandapower import to_json

    return str(to_json(grid))


def _simbench() -> Any:
    try:
        import simbench
    except ImportError:
        raise Unavailable("SimBench is not installed: pip install parity-mas[simbench]") from None
    return simbench


def _time_s(text: str) -> int:
    return int(datetime.strptime(text, "%d.%m.%Y %H:%M").replace(tzinfo=PROFILES_ZONE).timestamp())
