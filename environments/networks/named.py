"""Networks by their names: built in, in a file, or of SimBench."""

from pathlib import Path

from behaviours.decisions.grid.network import MAX_SITES, Network
from environments.networks.built_in import FEEDERS, NAMES, STREET, built_in
from environments.networks.case import NetworkCase
from environments.networks.load_series import LoadSeries
from environments.networks.opendss_file import opendss_series, read_opendss
from environments.networks.pandapower_file import read_pandapower
from environments.networks.simbench_grids import (
    EXAMPLE,
    SIMBENCH,
    is_simbench,
    read_simbench,
    simbench_series,
)
from ontology.errors import InvalidInput, problem

__all__ = ["feeder_named", "is_file", "is_imported", "load_cases", "load_series"]

DSS_STEP = ".dss@"
SUFFIXES = (".json", ".dss")


def load_cases(name: str) -> list[NetworkCase]:
    """Return the networks of a built-in name (`ieee-european-lv@1`), a file, or a code of SimBench.

    A file is JSON that pandapower wrote, or makes a circuit of OpenDSS (`Master.dss`, or `Master.dss@566` for
    the loads at a step of their shapes); `simbench:1-LV-rural1--0-sw` is a grid of SimBench.

    Raises: InvalidInput naming everything that is wrong with it, Unavailable without OpenDSS or SimBench
        where it needs them.
    """
    if name.partition("@")[0] in NAMES or name.startswith(STREET):
        return built_in(name)
    if is_simbench(name):
        return read_simbench(name)
    path, step = _file_and_step(name)
    if path.suffix.lower() != ".dss":
        return read_pandapower(path)
    return read_opendss(path, step)


def load_series(name: str) -> LoadSeries:
    """Return what the sites of a network draw over time by itself: a grid of SimBench, an OpenDSS circuit.

    Raises: InvalidInput when it has no loads over time, Unavailable without OpenDSS or SimBench.
    """
    if is_simbench(name):
        return simbench_series(name)
    if is_file(name) and Path(name).suffix.lower() == ".dss":
        return opendss_series(_file_and_step(name)[0])
    raise InvalidInput(problem("--loads", "", f"a file: {name} has no loads over time of its own"))


def is_file(name: str) -> bool:
    """Return whether a network's name is that of a file, which need not be there."""
    return not is_simbench(name) and (Path(name).suffix.lower() in SUFFIXES or DSS_STEP in name.lower())


def is_imported(name: str) -> bool:
    """Return whether a network's name is that of a file or of a grid of SimBench, which need not be there."""
    return is_file(name) or is_simbench(name)


def feeder_named(name: str) -> Network:
    """Return one feeder of a built-in network, or the one of a file or of SimBench.

    Raises: InvalidInput when there is none of that name, or it has several; Unavailable as `load_cases`.
    """
    if is_imported(name):
        cases = load_cases(name)
        if len(cases) != 1:
            raise InvalidInput(problem("network", f"{name}: {len(cases)} transformers", "a file with one"))
        return cases[0].network
    if name not in FEEDERS:
        raise InvalidInput(problem("network", name, f"one of {', '.join(FEEDERS)}"))
    network = next(each for each in NAMES if name.startswith(each))
    return next(each.network for each in built_in(network) if each.network.segment_id == name)


def _file_and_step(name: str) -> tuple[Path, int | None]:
    """Return the file of a name and the step behind it.

    Raises: InvalidInput when the file is not there, or the step is no number.
    """
    file, _, step = name.rpartition("@") if DSS_STEP in name.lower() else (name, "", "")
    if not Path(file).exists():
        known = f"{', '.join(NAMES)}, {STREET}1 to {STREET}{MAX_SITES}"
        expected = f"{known}, {SIMBENCH}{EXAMPLE}, or a file (pandapower JSON, OpenDSS)"
        raise InvalidInput(problem("NETWORK", name, expected))
    if step and not step.isdecimal():
        raise InvalidInput(problem("NETWORK", name, "a step of the loads' shapes behind @: 1, 2, …"))
    return Path(file), int(step) if step else None
