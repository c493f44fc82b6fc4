"""Plain data read as a struct: everything that is wrong, at once, by its path."""

import msgspec
import pytest
from ontology_samples import LEAST, MOST, USUAL, sample

from ontology.errors import InvalidInput
from ontology.reading import read_struct
from ontology.registration import Onboarding


@pytest.mark.parametrize("which", [LEAST, USUAL, MOST])
def test_what_is_right_is_read(which):
    told = sample("parity:Onboarding", which)
    assert read_struct(Onboarding, msgspec.to_builtins(told)) == told


def test_every_problem_is_named():
    wrong = {
        "site": 5,
        "building": {"type_id": "X", "geo_zone": "x"},
        "assets": [{"type_id": "PV", "rated_power_w": -1}, {}],
        "consents": ["SOME"],
        "colour": "red",
    }
    with pytest.raises(InvalidInput) as caught:
        read_struct(Onboarding, wrong)
    assert {each.path for each in caught.value.problems} == {
        "colour",
        "role_id",
        "site",
        "building.geo_zone",
        "assets[0].rated_power_w",
        "assets[1].type_id",
        "assets[1].rated_power_w",
        "consents[0]",
    }


@pytest.mark.parametrize("data", [None, 5, "text", [], [{}]])
def test_what_is_no_object_is_a_problem(data):
    with pytest.raises(InvalidInput):
        read_struct(Onboarding, data)
