"""Low-voltage networks: built in, from files written by pandapower or for OpenDSS, or of SimBench."""

from environments.networks.built_in import FEEDERS, NAMES, source_of
from environments.networks.case import NetworkCase
from environments.networks.load_series import LoadSeries
from environments.networks.named import feeder_named, is_file, is_imported, load_cases, load_series
from environments.networks.network_file import network_json
from environments.networks.opendss_file import read_opendss
from environments.networks.pandapower_file import cases_from_pandapower, read_pandapower

__all__ = [
    "FEEDERS",
    "NAMES",
    "LoadSeries",
    "NetworkCase",
    "cases_from_pandapower",
    "feeder_named",
    "is_file",
    "is_imported",
    "load_cases",
    "load_series",
    "network_json",
    "read_opendss",
    "read_pandapower",
    "source_of",
]
