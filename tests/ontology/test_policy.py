"""Who may say what: granted in the table, or denied."""

from itertools import product

import pytest
from ontology_samples import EVERY_TYPE

from ontology.performatives import Performative as Act
from ontology.policy import SIGNED_TYPES, TABLE, Right, is_allowed, may_read, may_receive, may_send, may_write
from ontology.roles import Role

# The 15-minute cycle: who tells whom what, and with which act.
CYCLE = [
    (Role.GATEWAY, "parity:IntervalReading", Act.INFORM, Role.REPOSITORY),
    (Role.GATEWAY, "parity:IntervalReading", Act.INFORM, Role.PROSUMER),
    (Role.GATEWAY, "s2:StorageStatus", Act.INFORM, Role.BESS),
    (Role.GATEWAY, "parity:ThermalStatus", Act.INFORM, Role.P2H),
    (Role.GATEWAY, "parity:Measurement", Act.INFORM, Role.PV),
    (Role.GATEWAY, "parity:EvConnectionEvent", Act.INFORM, Role.EV),
    (Role.GATEWAY, "parity:EvUserInput", Act.INFORM, Role.EV),
    (Role.PV, "s2:FlexEnvelope", Act.INFORM, Role.PROSUMER),
    (Role.PV, "parity:AssetAlarm", Act.INFORM, Role.PROSUMER),
    (Role.PV, "parity:AssetAlarm", Act.REQUEST, Role.REPOSITORY),
    (Role.GATEWAY, "s2:Instruction", Act.INFORM, Role.PV),
    (Role.BESS, "s2:FlexEnvelope", Act.INFORM, Role.PROSUMER),
    (Role.EV, "s2:FlexEnvelope", Act.INFORM, Role.PROSUMER),
    (Role.P2H, "s2:FlexEnvelope", Act.INFORM, Role.PROSUMER),
    (Role.PROSUMER, "s2:InstructionBatch", Act.REQUEST, Role.GATEWAY),
    (Role.GATEWAY, "s2:InstructionBatchStatus", Act.INFORM, Role.PROSUMER),
    (Role.PROSUMER, "parity:Forecast", Act.INFORM, Role.REPOSITORY),
    (Role.ORACLE, "parity:Query", Act.QUERY_REF, Role.REPOSITORY),
    (Role.REPOSITORY, "parity:QueryResult", Act.INFORM, Role.ORACLE),
    (Role.ORACLE, "parity:LemDataset", Act.INFORM, Role.BLOCKCHAIN),
    (Role.BLOCKCHAIN, "parity:LemDataset", Act.REQUEST, Role.BLOCKCHAIN),
    (Role.BLOCKCHAIN, "parity:Acknowledgement", Act.AGREE, Role.BLOCKCHAIN),
    (Role.BLOCKCHAIN, "parity:LemResult", Act.INFORM, Role.BLOCKCHAIN),
    (Role.BLOCKCHAIN, "parity:LemResult", Act.INFORM, Role.PROSUMER),
    (Role.BLOCKCHAIN, "oadr:PriceProfile", Act.INFORM, Role.AGGREGATOR),
    (Role.PROSUMER, "parity:Subscription", Act.SUBSCRIBE, Role.AGGREGATOR),
    (Role.AGGREGATOR, "oadr:PriceProfile", Act.INFORM, Role.PROSUMER),
    (Role.DSO, "parity:GridStatusEvent", Act.INFORM, Role.AGGREGATOR),
    (Role.DSO, "parity:GridStatusEvent", Act.INFORM, Role.MARKET_OPERATOR),
    (Role.DSO, "parity:GridStatusEvent", Act.INFORM, Role.ORACLE),
    (Role.ORACLE, "parity:GridStatusEvent", Act.INFORM, Role.BLOCKCHAIN),
    (Role.DSO, "parity:DstatcomCommand", Act.REQUEST, Role.DSTATCOM),
    (Role.DSTATCOM, "parity:DstatcomStatus", Act.INFORM, Role.DSO),
    (Role.DSO, "oadr:DRSignal", Act.REQUEST, Role.AGGREGATOR),
    (Role.AGGREGATOR, "oadr:DRSignal", Act.REQUEST, Role.PROSUMER),
    (Role.AGGREGATOR, "parity:Lem", Act.INFORM, Role.BLOCKCHAIN),
    (Role.AGGREGATOR, "parity:ExternalBid", Act.PROPOSE, Role.EXTERNAL_MARKETS),
    (Role.AGGREGATOR, "parity:ExternalBidWithdrawal", Act.CANCEL, Role.EXTERNAL_MARKETS),
    (Role.EXTERNAL_MARKETS, "parity:ExternalBidResult", Act.INFORM, Role.AGGREGATOR),
    (Role.MARKET_OPERATOR, "parity:LemParameters", Act.INFORM, Role.AGGREGATOR),
    (Role.DSO, "uftp:FlexRequest", Act.CFP, Role.FLEXIBILITY_GATEWAY),
    (Role.FLEXIBILITY_GATEWAY, "uftp:FlexOffer", Act.PROPOSE, Role.DSO),
    (Role.FLEXIBILITY_GATEWAY, "uftp:FlexOrder", Act.REQUEST, Role.AGGREGATOR),
    (Role.FLEXIBILITY_GATEWAY, "uftp:FlexSettlement", Act.PROPOSE, Role.AGGREGATOR),
]

FORBIDDEN = [
    (Role.PROSUMER, "oadr:DRSignal", Act.REQUEST),
    (Role.FLEXIBILITY_GATEWAY, "oadr:DRSignal", Act.REQUEST),
    (Role.FLEXIBILITY_GATEWAY, "s2:InstructionBatch", Act.REQUEST),
    (Role.FLEXIBILITY_GATEWAY, "parity:PaymentOrder", Act.REQUEST),
    (Role.PROSUMER, "parity:GridStatusEvent", Act.INFORM),
    (Role.PROSUMER, "parity:LemResult", Act.INFORM),
    (Role.AGGREGATOR, "parity:DstatcomCommand", Act.REQUEST),
    (Role.GATEWAY, "parity:LemDataset", Act.REQUEST),
    (Role.GATEWAY, "s2:InstructionBatch", Act.REQUEST),
    (Role.PROSUMER, "parity:AssetAlarm", Act.INFORM),
    (Role.PROSUMER, "parity:LemDataset", Act.REQUEST),
    (Role.UI, "parity:Lem", Act.INFORM),
    (Role.DSO, "s2:InstructionBatch", Act.REQUEST),
    (Role.GATEWAY, "parity:IntervalReading", Act.CFP),
    (Role.DSO, "parity:NoSuchType", Act.INFORM),
]


@pytest.mark.parametrize(("sender", "message_type", "act", "receiver"), CYCLE)
def test_the_cycle_is_allowed(sender, message_type, act, receiver):
    assert may_send(sender, message_type, act)
    assert may_receive(receiver, message_type)


@pytest.mark.parametrize(("role", "message_type", "act"), FORBIDDEN)
def test_what_is_not_in_the_table_is_denied(role, message_type, act):
    assert not may_send(role, message_type, act)


@pytest.mark.parametrize(
    ("message_type", "act"),
    [
        ("parity:Refusal", Act.REFUSE),
        ("parity:FailureReport", Act.FAILURE),
        ("parity:Rejection", Act.NOT_UNDERSTOOD),
        ("parity:Acknowledgement", Act.AGREE),
    ],
)
@pytest.mark.parametrize("role", Role)
def test_everyone_may_answer(role, message_type, act):
    assert may_send(role, message_type, act)
    assert may_receive(role, message_type)


def test_an_unknown_role_may_do_nothing():
    granted = [
        message_type
        for message_type, act in product(EVERY_TYPE, Act)
        if may_send("stranger", message_type, act) or may_receive("stranger", message_type)
    ]
    assert granted == []


def test_default_deny_most_combinations_are_not_granted():
    combinations = list(product(Role, EVERY_TYPE, Act))
    granted = sum(may_send(*combination) for combination in combinations)
    assert 0 < granted / len(combinations) < 0.05


def test_every_message_type_stands_in_the_table_once():
    listed = [cls for row in TABLE for cls in row.types]
    assert len(listed) == len(set(listed)) == len(EVERY_TYPE)


def test_only_the_market_operator_sees_names():
    readers = {role for role in Role if may_read(role, "parity:User")}
    assert readers == {Role.REPOSITORY, Role.MARKET_OPERATOR}


def test_only_oracles_and_blockchain_agents_learn_pseudonyms_and_the_repository_keeps_them_sealed():
    readers = {role for role in Role if may_read(role, "parity:PseudonymRecord")}
    assert readers == {Role.ORACLE, Role.BLOCKCHAIN, Role.REPOSITORY}


def test_whoever_receives_may_also_read():
    assert all(
        may_read(role, message_type)
        for role, message_type in product(Role, EVERY_TYPE)
        if may_receive(role, message_type)
    )


def test_rights_can_be_asked_by_name():
    assert is_allowed(Role.MARKET_OPERATOR, "parity:AssetType", Right.WRITE)
    assert may_write(Role.MARKET_OPERATOR, "parity:AssetType")
    assert not may_write(Role.PROSUMER, "parity:AssetType")


@pytest.mark.parametrize(
    "message_type",
    ["uftp:FlexOrder", "oadr:DRSignal", "uftp:FlexSettlement", "parity:LemDataset", "s2:InstructionBatch"],
)
def test_orders_signals_settlements_and_ledger_data_are_signed(message_type):
    assert message_type in SIGNED_TYPES
