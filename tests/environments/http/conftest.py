"""An interface in memory: services, tokens and callers for tests."""

import pytest
from interface_house import House


@pytest.fixture
def house() -> House:
    """An interface over a repository in memory, with a clock that stands still until it is moved."""
    return House()
