"""How many examples a property of a pure function gets, on machines of any speed."""

from hypothesis import settings

quick = settings(deadline=None, max_examples=40)
