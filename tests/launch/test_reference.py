from pathlib import Path

import pytest

from launch.reference import GENERATED, with_generated

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", GENERATED)
def test_the_reference_is_what_the_code_says(name):
    page = (DOCS / name).read_text(encoding="utf-8")
    assert with_generated(page, GENERATED[name]()) == page, "run python -m launch.reference"
