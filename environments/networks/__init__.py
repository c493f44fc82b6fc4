"""Low-voltage networks from files: built in, or written by pandapower or for OpenDSS."""

from environments.networks.built_in import FEEDERS, NAMES, feeder_named, is_file, load_cases, source_of
from environments.networks.case import NetworkCase
from environments.networks.opendss_file import read_opendss
from environments.networks.pandapower_file import cases_from_pandapower, read_pandapower

__all__ = [
    "FEEDERS",
    "NAMES",
    "NetworkCase",
    "cases_from_pandapower",
    "feeder_named",
    "is_file",
    "load_cases",
    "read_opendss",
    "read_pandapower",
    "source_of",
]
