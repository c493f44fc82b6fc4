"""When a letter that was not acknowledged is sent again, and when it is no longer worth it."""

__all__ = ["FIRST_PAUSE_S", "LONGEST_PAUSE_S", "pause_s"]

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0


def pause_s(attempts: int, draw: float) -> float:
    """Return the seconds to wait for a receipt after some attempts: doubled each time, with jitter.

    Args: attempts made, at least 1; draw uniform in [0, 1), which keeps peers from coming back in step.
    Returns: between half of and the whole pause, which grows from 1 s to 30 s.
    """
    doubled = min(FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 10), LONGEST_PAUSE_S)
    return doubled * (0.5 + 0.5 * draw)
