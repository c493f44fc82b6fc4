"""What all tests can ask for; being here, this file also lets them import `post_office`."""

from collections.abc import Iterator

import pytest
from post_office import Town


@pytest.fixture
def town() -> Iterator[Town]:
    """A community in virtual time whose letters all arrive, in order and at once."""
    with Town() as town:
        yield town
