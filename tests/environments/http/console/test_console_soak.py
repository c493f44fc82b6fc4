"""The console stays as small as it begins, however long letters come and pages are open."""

import pytest

from benchmarks.console import SELECTIONS, measured

MINUTE_S, HOUR_S = 60.0, 3600.0
MARGIN_MB = 40


@pytest.mark.soak
def test_an_hour_of_open_pages_needs_no_more_memory_than_a_minute() -> None:
    minute, hour = (measured(8, seconds, lambda n: SELECTIONS[n]) for seconds in (MINUTE_S, HOUR_S))
    assert hour["memory_mb"] < minute["memory_mb"] + MARGIN_MB
