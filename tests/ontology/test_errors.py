"""Errors say what, where and what would be right, and what they are to others."""

import pickle

import pytest

from ontology.errors import (
    Conflict,
    Failed,
    InvalidInput,
    NotUnderstood,
    ParityError,
    Problem,
    Refused,
    Unavailable,
    consequence_of,
)
from ontology.performatives import Performative

PROBLEMS = (
    Problem("sites[4].capacity_wh", "-5000", "must be positive"),
    Problem("weather", "4", "not found"),
)


@pytest.mark.parametrize(
    ("error", "act", "status", "exit_code"),
    [
        (InvalidInput(PROBLEMS), Performative.NOT_UNDERSTOOD, 422, 2),
        (NotUnderstood("no"), Performative.NOT_UNDERSTOOD, 400, 2),
        (Refused("no"), Performative.REFUSE, 403, 3),
        (Conflict("no"), Performative.REFUSE, 409, 4),
        (Unavailable("no"), Performative.FAILURE, 503, 5),
        (Failed("no"), Performative.FAILURE, 500, 1),
        (ZeroDivisionError(), Performative.FAILURE, 500, 1),
    ],
)
def test_every_error_is_an_act_a_status_and_an_exit_code(error, act, status, exit_code):
    assert consequence_of(error) == (act, status, exit_code)


def test_invalid_input_carries_all_problems_and_says_them():
    error = InvalidInput(PROBLEMS)
    assert error.problems == PROBLEMS
    assert str(error) == "sites[4].capacity_wh  -5000  must be positive; weather  4  not found"


def test_invalid_input_is_a_value_error_and_every_error_is_ours():
    assert issubclass(InvalidInput, ValueError)
    assert all(issubclass(cls, ParityError) for cls in (InvalidInput, Refused, NotUnderstood, Failed))


def test_errors_survive_the_way_between_processes():
    assert pickle.loads(pickle.dumps(NotUnderstood(PROBLEMS))).problems == PROBLEMS
