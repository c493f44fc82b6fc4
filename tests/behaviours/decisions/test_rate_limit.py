"""How often somebody may ask."""

from hypothesis import given
from hypothesis import strategies as st

from behaviours.decisions.rate_limit import TokenBucket


def test_so_many_at_once_and_one_more_with_time():
    bucket = TokenBucket(size=2, refill_s=10)
    assert [bucket.take(100) for _ in range(3)] == [True, True, False]
    assert [bucket.take(109), bucket.take(110), bucket.take(111)] == [False, True, False]


@given(st.lists(st.floats(0, 1000), max_size=200), st.integers(1, 20), st.floats(0.1, 60))
def test_never_more_than_the_bucket_and_what_has_flowed_in(times_s, size, refill_s):
    bucket, ordered = TokenBucket(size, refill_s), sorted(times_s)
    granted = sum(bucket.take(time_s) for time_s in ordered)
    span_s = ordered[-1] - ordered[0] if ordered else 0
    assert granted <= size + span_s / refill_s + 1e-6
