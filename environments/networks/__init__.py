"""Low-voltage networks from files: built in, or written by pandapower."""

from environments.networks.built_in import NAMES, load_cases, source_of
from environments.networks.case import NetworkCase
from environments.networks.pandapower_file import cases_from_pandapower, read_pandapower

__all__ = ["NAMES", "NetworkCase", "cases_from_pandapower", "load_cases", "read_pandapower", "source_of"]
