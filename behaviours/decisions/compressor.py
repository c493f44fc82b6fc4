"""How a compressor follows the power that a plan wants of it: no short runs, no short rests."""

from dataclasses import dataclass, replace

__all__ = ["CompressorRule", "CompressorState", "compressor_step", "observed"]

SECONDS_AN_HOUR = 3600.0
CATCH_UP_S = 900.0
"""Within what time missing energy is made up for."""


@dataclass(frozen=True, slots=True)
class CompressorRule:
    """Limits of a compressor: powers in W while it runs, least duration of runs and rests in s."""

    power_min_w: int
    power_max_w: int
    minimum_on_s: int = 600
    minimum_off_s: int = 600

    @property
    def start_wh(self) -> float:
        """What a run takes at least."""
        return self.power_min_w * self.minimum_on_s / SECONDS_AN_HOUR


@dataclass(frozen=True, slots=True)
class CompressorState:
    """Whether it runs, since when (epoch seconds), and the energy in Wh that was wanted and is owed."""

    running: bool
    since_s: int
    owed_wh: float = 0.0


def observed(state: CompressorState | None, running: bool, now_s: int) -> CompressorState:
    """Return the state as the device reports it; what somebody else has changed may have changed just now."""
    if state is None:
        return CompressorState(running, now_s)
    return state if state.running == running else replace(state, running=running, since_s=now_s)


def compressor_step(
    rule: CompressorRule, state: CompressorState, wanted_w: float, now_s: int, step_s: int
) -> tuple[CompressorState, int]:
    """Return what the compressor does in the coming step, and how it stands then.

    It starts when half a run is owed, or more is wanted than its least power, and stops when half a run too
    much was taken or nothing is wanted at all. So the energy that is wanted comes out right: what is missing
    is made up for within a quarter of an hour, and what was too much is rested off.

    Args:
        rule: limits of the compressor.
        state: how it stands.
        wanted_w: mean power that the plan wants of the step, in W.
        now_s: beginning of the step in epoch seconds.
        step_s: its length.
    """
    hours = step_s / SECONDS_AN_HOUR
    owed_wh = state.owed_wh + wanted_w * hours
    held_s = rule.minimum_on_s if state.running else rule.minimum_off_s
    running = state.running
    if now_s - state.since_s >= held_s:
        half_wh = rule.start_wh / 2
        steady = state.running or wanted_w >= rule.power_min_w
        running = wanted_w > 0 and (owed_wh >= half_wh or (steady and owed_wh > -half_wh))
    power_w = 0
    if running:
        asked_w = wanted_w + state.owed_wh * SECONDS_AN_HOUR / CATCH_UP_S
        power_w = round(min(max(asked_w, rule.power_min_w), rule.power_max_w))
    most_wh = max(rule.start_wh, rule.power_max_w * CATCH_UP_S / SECONDS_AN_HOUR)
    left_wh = min(max(owed_wh - power_w * hours, -most_wh), most_wh)
    since_s = state.since_s if running == state.running else now_s
    return CompressorState(running, since_s, left_wh), power_w
