"""Which letters are kept until their arrival is confirmed."""

import pytest

from ontology.codec import MESSAGE_TYPES
from ontology.policy import DEFAULT_LIFETIME_S, lifetime_s, must_arrive


@pytest.mark.parametrize(
    ("message_type", "act", "kept"),
    [
        ("uftp:FlexOrder", "accept-proposal", True),
        ("parity:GridStatusEvent", "inform", True),
        ("parity:LemResult", "inform", True),
        ("parity:Measurement", "inform", False),
        ("s2:FlexEnvelope", "inform", False),
        ("parity:DeliveryReceipt", "confirm", False),
    ],
)
def test_orders_and_states_of_the_grid_must_arrive_and_telemetry_need_not(message_type, act, kept):
    assert must_arrive(message_type, act) is kept


@pytest.mark.parametrize("message_type", sorted(MESSAGE_TYPES))
def test_every_letter_is_of_use_for_a_while_and_for_a_week_at_most(message_type):
    assert 30 <= lifetime_s(message_type) <= DEFAULT_LIFETIME_S
