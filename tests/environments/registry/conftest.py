"""A registry in a folder of its own."""

from collections.abc import Iterator

import pytest
from registry_samples import new_registry

from environments.registry import Registry


@pytest.fixture
def registry(tmp_path) -> Iterator[Registry]:
    registry = new_registry(tmp_path)
    yield registry
    registry.close()
