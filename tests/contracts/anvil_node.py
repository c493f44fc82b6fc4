"""Tests of a real node skip where anvil is not installed, and fail there where servers are required."""

import os

import pytest

from contracts.local_node import anvil_program

__all__ = ["need_anvil"]


def need_anvil() -> None:
    """Skip the test without anvil (fail, where servers are required)."""
    if anvil_program() is None:
        missing = pytest.fail if os.environ.get("PARITY_REQUIRE_SERVERS") == "1" else pytest.skip
        missing("anvil is not installed: scripts/install-servers installs it")
