"""Pytest fixtures for communities: `def test_x(community): model = community(sites=3, intervals=8)`.

Registered as a pytest plugin by the distribution; everything heavy is imported on use.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from launch.model import CommunityModel

__all__ = ["community"]


@pytest.fixture
def community() -> Callable[..., "CommunityModel"]:
    """Return a maker of communities in virtual time: `community(sites=3, intervals=8, seed=1)`."""

    def make(sites: int | None = None, **settings: Any) -> "CommunityModel":
        from launch.model import CommunityModel

        if sites is not None:
            settings["population__sites"] = sites
        return CommunityModel(**settings)

    return make
