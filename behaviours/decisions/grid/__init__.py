"""The low-voltage grid: its network, the power that flows in it and its traffic light."""

from behaviours.decisions.grid.bad_data import Discarded
from behaviours.decisions.grid.four_wire import FourWire, FourWireResult
from behaviours.decisions.grid.network import Cable, Network, Transformer, connect_sites, radial_feeder
from behaviours.decisions.grid.node_readings import NodeReadings
from behaviours.decisions.grid.power_flow import FlowResult, PowerFlow, over_phases
from behaviours.decisions.grid.pseudo_measurements import Expectation, ExpectedLoads, expected_loads
from behaviours.decisions.grid.state_estimation import Estimate, StateEstimation
from behaviours.decisions.grid.traffic_light import (
    Light,
    Strain,
    Thresholds,
    causes,
    next_light,
    red_since,
    severity,
    state_of,
)

__all__ = [
    "Cable",
    "Discarded",
    "Estimate",
    "Expectation",
    "ExpectedLoads",
    "FlowResult",
    "FourWire",
    "FourWireResult",
    "Light",
    "Network",
    "NodeReadings",
    "PowerFlow",
    "StateEstimation",
    "Strain",
    "Thresholds",
    "Transformer",
    "causes",
    "connect_sites",
    "expected_loads",
    "next_light",
    "over_phases",
    "radial_feeder",
    "red_since",
    "severity",
    "state_of",
]
