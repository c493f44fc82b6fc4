"""The concepts keep their own rules."""

import json

import msgspec
import pytest
from ontology_samples import EVERY_TYPE, as_json, sample

from ontology import base
from ontology.base import Concept
from ontology.codec import MESSAGE_TYPES, decode_body, message_type_of
from ontology.control import Instruction, Priority
from ontology.errors import InvalidInput, NotUnderstood
from ontology.flexibility import FlexEnvelope
from ontology.forecasts import Forecast, ForecastKind
from ontology.grid import GridState
from ontology.market import GREEN_PARAMETERS, YELLOW_PARAMETERS, Lem, LemParameters, LemState
from ontology.users import Player, Registration

# SPEC 3.4, in its order; 13, 44 and 45 are two classes each.
CONCEPTS = [
    "User",
    "UserRole",
    "Player",
    "Building",
    "BuildingType",
    "UsagePoint",
    "AssetType",
    "Asset",
    "SensorType",
    "Sensor",
    "Measurement",
    "IntervalReading",
    "WeatherObservation",
    "WeatherForecast",
    "Forecast",
    "FlexibilityForecast",
    "FlexEnvelope",
    "StorageModel",
    "StorageStatus",
    "ThermalModel",
    "Instruction",
    "InstructionStatus",
    "EvConnectionEvent",
    "EvUserInput",
    "EvSocUpdate",
    "EvDisconnectionEvent",
    "EvSession",
    "ChargingSchedule",
    "GridSegment",
    "GridMeasurement",
    "GridStatusEvent",
    "GridConstraint",
    "LemParameters",
    "Lem",
    "LemResult",
    "PriceProfile",
    "DPrognosis",
    "FlexRequest",
    "FlexOffer",
    "FlexOrder",
    "FlexSettlement",
    "FlexReservation",
    "DRSignal",
    "Sla",
    "KpiFeature",
    "KpiMeasure",
    "Wallet",
    "LedgerEntry",
    "PseudonymRecord",
    "Vpp",
    "ProsumerMetrics",
]


def envelope(**changes):
    series = {
        "power_min_w": [-1000, -1000],
        "power_max_w": [1000, 1000],
        "energy_min_wh": [-250, -500],
        "energy_max_wh": [250, 500],
    }
    return FlexEnvelope(subject="h001-bess", start_s=0, **{**series, **changes})


def test_all_48_concepts_of_the_specification_are_there():
    assert {cls.__name__ for cls in MESSAGE_TYPES.values()} >= set(CONCEPTS)
    assert len(CONCEPTS) == 48 + 3


@pytest.mark.parametrize("message_type", EVERY_TYPE)
def test_every_message_type_has_a_layer_a_name_and_a_source(message_type):
    layer, name = message_type.split(":")
    cls = MESSAGE_TYPES[message_type]
    assert layer in {"s2", "uftp", "oadr", "parity"}
    assert name == cls.__name__
    assert message_type_of(cls) == message_type
    assert "(" in cls.__doc__


@pytest.mark.parametrize("message_type", EVERY_TYPE)
def test_no_concept_can_be_changed(message_type):
    content = sample(message_type)
    field = content.__struct_fields__[0]
    with pytest.raises(AttributeError):
        setattr(content, field, None)


def test_every_integer_and_float_on_the_wire_is_bounded():
    unbounded = [
        (message_type, field.name)
        for message_type, cls in MESSAGE_TYPES.items()
        for field in msgspec.inspect.type_info(cls).fields
        if isinstance(field.type, msgspec.inspect.IntType | msgspec.inspect.FloatType)
        and (field.type.le is None or (field.type.ge is None and field.type.gt is None))
    ]
    assert unbounded == []


def test_an_envelope_whose_series_differ_in_length_is_invalid():
    with pytest.raises(InvalidInput) as caught:
        envelope(power_max_w=[1000])
    assert caught.value.problems[0].path == "power_max_w"
    assert caught.value.problems[0].expected == "2 values, as many as power_min_w"


def test_an_envelope_whose_minimum_exceeds_its_maximum_says_at_which_step():
    with pytest.raises(InvalidInput) as caught:
        envelope(power_min_w=[-1000, 2000])
    assert caught.value.problems[0].path == "power_min_w[1]"


def test_a_forecast_may_leave_its_quantiles_out_but_not_give_half_of_them():
    told = {"subject": "h001", "kind": ForecastKind.NET, "issued_at_s": 0, "start_s": 0, "power_w": [1, 2]}
    assert Forecast(**told).low_w == []
    with pytest.raises(InvalidInput):
        Forecast(**told, low_w=[0])


def test_an_instruction_has_to_say_something():
    with pytest.raises(InvalidInput, match="a set-point, a mode or a limit"):
        Instruction(instruction_id="i", asset_id="a", execution_time_s=0, valid_until_s=900)


def test_the_dso_in_red_prevails_over_everyone():
    order = [Priority.LOCAL_OPT, Priority.MARKET, Priority.USER, Priority.CONTRACT, Priority.DSO_RED]
    assert sorted(Priority) == order


def test_a_market_ends_after_it_starts():
    with pytest.raises(InvalidInput, match="end_s"):
        Lem(
            start_s=900,
            end_s=900,
            segment_id="f1",
            aggregator="a",
            state=LemState.ACTIVE,
            grid_state=GridState.GREEN,
            parameters=GREEN_PARAMETERS,
            players=[],
        )


def test_a_tariff_whose_peers_pay_more_than_the_grid_asks_is_invalid():
    with pytest.raises(InvalidInput):
        LemParameters(
            case=GridState.GREEN,
            buy_usual_ticks_per_kwh=1000,
            sell_usual_ticks_per_kwh=650,
            buy_peer_ticks_per_kwh=1400,
            sell_peer_ticks_per_kwh=800,
        )


def test_default_tariffs_are_those_of_the_specification():
    assert GREEN_PARAMETERS.buy_usual_ticks_per_kwh == 0.200 * base.TICKS_PER_CURRENCY
    assert YELLOW_PARAMETERS.beta_ticks_per_kwh2 == 0.025 * base.TICKS_PER_CURRENCY


def test_traffic_light_states_are_ordered_by_severity():
    assert [state.severity for state in (GridState.GREEN, GridState.YELLOW, GridState.RED)] == [0, 1, 2]


def test_a_registration_is_a_player():
    assert Registration is Player
    assert issubclass(Player, Concept)


@pytest.mark.parametrize(
    ("message_type", "wrong"),
    [
        ("uftp:FlexResponse", {"reasons": []}),
        ("uftp:FlexMetering", {"period_end_s": 0}),
        (
            "uftp:FlexSettlementResponse",
            {"orders": [{"order_reference": "o1", "verdict": "Disputed", "reason": ""}]},
        ),
        (
            "uftp:FlexSettlementResponse",
            {"orders": [{"order_reference": "o1", "verdict": "Accepted"}] * 2},
        ),
    ],
    ids=["rejected without reason", "no period", "disputed without reason", "an order twice"],
)
def test_what_answers_a_trade_is_complete(message_type, wrong):
    good = {**as_json(message_type), "result": "Rejected"} if "reasons" in wrong else as_json(message_type)
    with pytest.raises(NotUnderstood):
        decode_body(message_type, json.dumps({**good, **wrong}).encode())
