"""Low-voltage networks from files: built in, or written by pandapower."""

from environments.networks.built_in import FEEDERS, NAMES, feeder_named, load_cases, source_of
from environments.networks.case import NetworkCase
from environments.networks.pandapower_file import cases_from_pandapower, read_pandapower

__all__ = [
    "FEEDERS",
    "NAMES",
    "NetworkCase",
    "cases_from_pandapower",
    "feeder_named",
    "load_cases",
    "read_pandapower",
    "source_of",
]
