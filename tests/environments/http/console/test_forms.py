"""Forms that are made from the ontology's schema, and what is read out of them."""

import msgspec
import pytest
from registry_samples import household

from environments.http.console.forms import form_data, form_of, unplaced
from ontology.assets import Asset, AssetType
from ontology.errors import problem
from ontology.reading import read_struct
from ontology.registration import Onboarding
from ontology.users import UserRole


def fields(cls, data=None, problems=(), **more):
    return {
        field.path: field for group in form_of(cls, data or {}, problems, **more) for field in group.fields
    }


def filled(cls, concept) -> dict[str, list[str]]:
    """Return a form as a browser sends it when nothing is changed in it."""
    sent: dict[str, list[str]] = {}
    for path, field in fields(cls, msgspec.to_builtins(concept)).items():
        if field.kind == "choices":
            sent[path] = list(field.value or [])
        elif field.kind == "truth":
            sent[path] = ["on"] if field.value else []
        else:
            sent[path] = ["" if field.value is None else str(field.value)]
    return sent


@pytest.mark.parametrize(
    "concept",
    [
        household(),
        AssetType(type_id="PV", code="PV"),
        UserRole(role_id="DSO", code="DSO", permissions=["grid:read", "grid:write"]),
        Asset(
            asset_id="h001-pv",
            type_id="PV",
            owner="u",
            usage_point_id="up",
            rated_power_w=5,
            controllable=True,
        ),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_form_that_is_sent_as_it_was_shown_says_the_same(concept):
    cls = type(concept)
    assert read_struct(cls, form_data(cls, filled(cls, concept))) == concept


def test_fields_know_what_can_be_chosen_what_is_needed_and_what_is_wrong():
    wrong = [problem("code", "X", "one of …")]
    found = fields(AssetType, {"code": "X"}, wrong, options={"type_id": ["a", "b"]})
    assert found["type_id"].options == ("a", "b")
    assert found["code"].kind == "choice"
    assert found["code"].required
    assert found["code"].faults == ("one of …",)
    assert "type" not in found


def test_what_belongs_to_no_field_is_said_above_the_form():
    wrong = [problem("code", "", "a code"), problem("", "", "an object")]
    assert [each.path for each in unplaced(form_of(AssetType, {}, wrong), wrong)] == [""]


def test_rows_and_groups_left_empty_are_left_out():
    data = form_data(Onboarding, {"role_id": ["DSO"], "assets[0].type_id": [""], "assets[3].type_id": ["PV"]})
    assert data == {"role_id": "DSO", "assets": [{"type_id": "PV"}]}


def test_what_is_no_number_is_kept_to_be_complained_about():
    assert form_data(Asset, {"rated_power_w": ["much"]}) == {"rated_power_w": "much"}
