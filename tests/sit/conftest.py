"""D8.1's §5 order, bottom up: every test here belongs to a group, and groups run one after the other.

`pytest tests/sit -m sit_repository` runs one of them.
"""

import re

import pytest

GROUPS = (
    "sit_field",
    "sit_repository",
    "sit_ledger",
    "sit_services",
    "sit_aggregator_dso",
    "sit_applications",
)
BELONGS = (
    (r"test_3_1_", "sit_field"),
    (r"test_repo_|test_3_2_", "sit_repository"),
    (r"test_3_[34]_|test_registered_laboratories", "sit_ledger"),
    (r"test_3_[567]_", "sit_services"),
    (r"test_lma_|test_agr_1", "sit_applications"),
    (r"", "sit_aggregator_dso"),
)
"""The first that is found in a test's name decides; what joins all tools belongs to the last of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its group, and order them from the bottom up."""
    here = [item for item in items if "/tests/sit/" in item.path.as_posix()]
    places = [place for place, item in enumerate(items) if item in here]
    for item in here:
        name = f"{item.path.stem} {item.name}"
        group = next(group for pattern, group in BELONGS if re.search(pattern, name))
        item.add_marker(group)
    ordered = sorted(here, key=lambda item: (min(map(GROUPS.index, _groups(item))), item.path.as_posix()))
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


def _groups(item: pytest.Item) -> list[str]:
    return [mark.name for mark in item.iter_markers() if mark.name in GROUPS]
