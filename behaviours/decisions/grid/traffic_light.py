"""The traffic light of a grid segment: which strain gives which colour, and when it changes (SPEC 2.1)."""

from dataclasses import dataclass, replace

from ontology.grid import GridState, GridStatusEvent

__all__ = [
    "Light",
    "Strain",
    "Thresholds",
    "causes",
    "limit_w",
    "next_light",
    "red_since",
    "severity",
    "state_of",
]

CALM_INTERVALS = 2
"""Intervals without violation before the light goes down."""

RED_AFTER_S = 120
"""How long a red condition must be measured before the running interval is red."""


@dataclass(frozen=True)
class Strain:
    """How hard a segment is used in an interval: the worst of its nodes and branches.

    Loading is apparent power over rating, voltages are in p.u., unbalance is a ratio.
    """

    loading: float
    voltage_min_pu: float
    voltage_max_pu: float
    unbalance: float = 0.0


CALM = Strain(0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Thresholds:
    """From where on a strain is yellow or red (SPEC 2.1, EN 50160), and how far below it counts as over.

    The margins keep measurement noise of one per cent from making the light flap.
    """

    loading_yellow: float = 0.80
    loading_red: float = 1.00
    low_yellow_pu: float = 0.95
    low_red_pu: float = 0.90
    high_yellow_pu: float = 1.05
    high_red_pu: float = 1.10
    unbalance_yellow: float = 0.015
    unbalance_red: float = 0.020
    ratio_margin: float = 0.025
    """Of loading and unbalance, relative."""
    voltage_margin_pu: float = 0.012
    calm_intervals: int = CALM_INTERVALS
    red_after_s: int = RED_AFTER_S

    def with_margin(self) -> "Thresholds":
        """Return the thresholds below which a violation is over."""
        ratio, volt = 1 - self.ratio_margin, self.voltage_margin_pu
        return replace(
            self,
            loading_yellow=self.loading_yellow * ratio,
            loading_red=self.loading_red * ratio,
            low_yellow_pu=self.low_yellow_pu + volt,
            low_red_pu=self.low_red_pu + volt,
            high_yellow_pu=self.high_yellow_pu - volt,
            high_red_pu=self.high_red_pu - volt,
            unbalance_yellow=self.unbalance_yellow * ratio,
            unbalance_red=self.unbalance_red * ratio,
        )


STANDARD = Thresholds()


@dataclass(frozen=True)
class Light:
    """The light of a segment and what is needed to change it: the calm intervals so far and their worst."""

    state: GridState = GridState.GREEN
    calm_intervals: int = 0
    calm_worst: GridState = GridState.GREEN


def limit_w(rated_va: int, state: GridState, thresholds: Thresholds = STANDARD) -> int:
    """Return what a segment may take or give in W: up to where it gets red, while red down to yellow."""
    is_red = state is GridState.RED
    return int(rated_va * (thresholds.loading_yellow if is_red else thresholds.loading_red))


def severity(strain: Strain, thresholds: Thresholds = STANDARD) -> GridState:
    """Return the colour of the worst criterion; a value on a threshold is still the better colour."""
    return max(_criteria(strain, thresholds).values(), key=_severity)


def causes(strain: Strain, thresholds: Thresholds = STANDARD) -> list[str]:
    """Name the criteria that are not green, such as `loading` or `voltage-low`."""
    return [name for name, state in _criteria(strain, thresholds).items() if state is not GridState.GREEN]


def next_light(
    light: Light,
    foreseen: Strain | None,
    *,
    measured: Strain | None = None,
    unresolved: bool = False,
    thresholds: Thresholds = STANDARD,
) -> Light:
    """Return the light of the next interval.

    It goes up at once and down after some calm intervals, two by default, to the worst of those.

    Args:
        light: the light of the interval before.
        foreseen: what the outlook says; a violation is yellow however large. None is no violation.
        measured: what has been measured for at least two minutes (`red_since`); red counts.
        unresolved: flexibility was asked for; a red that is still foreseen 15 minutes before its interval
            is red then.
        thresholds: where yellow and red begin.
    """
    wanted = _wanted(foreseen, measured, unresolved, thresholds)
    if _severity(wanted) >= _severity(light.state):
        return Light(wanted)
    held = _wanted(foreseen, measured, unresolved, thresholds.with_margin())
    if _severity(held) >= _severity(light.state):
        return Light(light.state)
    worst = max(light.calm_worst, held, key=_severity)
    if light.calm_intervals + 1 >= thresholds.calm_intervals:
        return Light(worst)
    return Light(light.state, light.calm_intervals + 1, worst)


def red_since(
    since_s: float | None, measured: Strain, time_s: float, thresholds: Thresholds = STANDARD
) -> tuple[float | None, bool]:
    """Follow a red condition over measurements: since when it lasts, and whether that is long enough."""
    if severity(measured, thresholds) is not GridState.RED:
        return None, False
    start_s = time_s if since_s is None else since_s
    return start_s, time_s - start_s >= thresholds.red_after_s


def state_of(event: GridStatusEvent | None) -> GridState:
    """Return the state that an event publishes; a missing one means GREEN (SUPSI)."""
    return GridState.GREEN if event is None else event.state


def _wanted(
    foreseen: Strain | None, measured: Strain | None, unresolved: bool, thresholds: Thresholds
) -> GridState:
    ahead = severity(foreseen or CALM, thresholds)
    if ahead is GridState.RED and not unresolved:
        ahead = GridState.YELLOW
    return max(ahead, severity(measured or CALM, thresholds), key=_severity)


def _criteria(strain: Strain, limit: Thresholds) -> dict[str, GridState]:
    return {
        "loading": _above(strain.loading, limit.loading_yellow, limit.loading_red),
        "voltage-low": _above(-strain.voltage_min_pu, -limit.low_yellow_pu, -limit.low_red_pu),
        "voltage-high": _above(strain.voltage_max_pu, limit.high_yellow_pu, limit.high_red_pu),
        "unbalance": _above(strain.unbalance, limit.unbalance_yellow, limit.unbalance_red),
    }


def _above(value: float, yellow: float, red: float) -> GridState:
    if value > red:
        return GridState.RED
    return GridState.YELLOW if value > yellow else GridState.GREEN


def _severity(state: GridState) -> int:
    return state.severity
