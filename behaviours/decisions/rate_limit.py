"""How often somebody may ask: a bucket that fills with time."""

import msgspec

__all__ = ["TokenBucket"]


class TokenBucket(msgspec.Struct):
    """So many requests at once, and one more each `refill_s` seconds."""

    size: int
    refill_s: float
    level: float = -1.0
    filled_at_s: float = 0.0

    def take(self, time_s: float) -> bool:
        """Tell whether one more request is granted at a time, and count it."""
        before = self.level if self.level >= 0 else float(self.size)
        passed_s = max(0.0, time_s - self.filled_at_s) if self.level >= 0 else 0.0
        self.level = min(float(self.size), before + passed_s / self.refill_s)
        self.filled_at_s = max(self.filled_at_s, time_s)
        if self.level < 1:
            return False
        self.level -= 1
        return True
