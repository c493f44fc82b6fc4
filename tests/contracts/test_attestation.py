"""A settlement counts with a quorum of its attestors, on the contract and through the client."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_helpers import ACCOUNTS, inline, opened

from contracts import EvmLedger
from contracts.attestation import usual_quorum
from contracts.calldata import SettleCall, changes_of, digests_of, encode_settle, key_hash
from contracts.chain import Chain, Reverted, Signer
from contracts.embedded import embedded_chain
from ontology.errors import Conflict, InvalidInput, Refused
from ontology.ledger import SettlementKind

pytestmark = pytest.mark.chain
ALICE, BOB = 1, 2
OTHERS = [Signer(bytes([number]) * 32) for number in (11, 12, 13)]
STRANGER = Signer(bytes([99]) * 32)
APPOINT = "appointAttestors(address[],uint256)"
LEM = SettlementKind.LEM
RESULT = "ab" * 32
ENTRIES = {"alice": -300, "bob": 300}


@pytest.fixture
def council(contract):
    """The contract with four attestors, of whom three must agree."""
    contract.as_owner(APPOINT, [contract.operator.address, *(each.address for each in OTHERS)], 3)
    return contract


@pytest.mark.parametrize("attestors", [1, 2, 3, 4, 7, 16])
def test_more_than_two_thirds_are_a_quorum(attestors):
    quorum = usual_quorum(attestors)
    assert 3 * quorum > 2 * attestors >= 3 * (quorum - 1)


def test_three_of_four_settle(council):
    council.settle({ALICE: -1}, signers=[council.operator, OTHERS[0], OTHERS[2]])
    assert council.balances()[ALICE] == 999


@pytest.mark.parametrize(
    ("signers", "why"),
    [
        ((), "no quorum"),
        ((0, 1), "no quorum"),
        ((0, 1, 1), "once and in order"),
        ((1, 0, 2), "once and in order"),
    ],
    ids=["nobody", "too few", "one twice", "out of order"],
)
def test_what_is_no_quorum_is_turned_down(council, signers, why):
    known = [council.operator, *OTHERS]
    with pytest.raises(Reverted, match=why):
        council.settle({ALICE: -1}, signers=[known[number] for number in signers])
    assert council.balances()[ALICE] == 1_000


def test_a_strangers_signature_in_an_attestors_place_is_turned_down(council):
    parts = [changes_of({ALICE: -1})]
    call = SettleCall(key_hash("a"), digests_of(parts)[0])
    signatures = council.signed(call, [council.operator, *OTHERS[:2]])
    v, r, s = STRANGER.sign_hash(bytes(32))
    signatures[1] = signatures[1]._replace(v=v, r=r, s=s)
    with pytest.raises(Reverted, match="not an attestor's signature"):
        council.bring(encode_settle(call, parts[0], signatures))
    beyond = signatures[:1] + [signatures[2]._replace(attestor=4)] * 2
    with pytest.raises(Reverted, match="attestor"):
        council.bring(encode_settle(call, parts[0], beyond))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    field=st.sampled_from(["key", "kind", "result", "changes", "contract"]),
    change=st.integers(-999, 999).filter(bool),
)
def test_signatures_of_one_batch_serve_no_other(council, field, change):
    """Whatever differs from what was signed (key, kind, result, changes, contract), nothing moves."""
    before = council.balances()
    parts = [changes_of({BOB: 5})]
    signed = SettleCall(key_hash("a"), digests_of(parts)[0])
    brought = signed
    if field == "key":
        brought = signed._replace(key=key_hash(str(change)))
    elif field == "kind":
        brought = signed._replace(kind=1 + change % 4)
    elif field == "result":
        brought = signed._replace(result=key_hash(str(change)))
    elif field == "changes":
        parts = [changes_of({BOB: 5 + change})]
    elsewhere = replace(council, address=STRANGER.address) if field == "contract" else council
    signatures = elsewhere.signed(signed, [council.operator, *OTHERS[:2]])
    with pytest.raises(Reverted, match=r"not an attestor's signature|not what the digest says"):
        council.bring(encode_settle(brought, parts[0], signatures))
    assert council.balances() == before


@pytest.mark.parametrize(
    ("attestors", "quorum"), [([], 0), ([0], 0), ([0], 2), ([0, 0], 1)], ids=["none", "0", "2 of 1", "twice"]
)
def test_an_impossible_council_is_not_appointed(contract, attestors, quorum):
    with pytest.raises(Reverted, match=r"a quorum of the attestors|each attestor once"):
        contract.as_owner(APPOINT, [OTHERS[number].address for number in attestors], quorum)


def test_objections_are_events_and_only_attestors_make_them(council):
    with pytest.raises(Reverted, match="only an attestor"):
        council.as_owner("object(bytes32,bytes32)", key_hash("a"), bytes(32))
    (event,) = council.as_operator("object(bytes32,bytes32)", key_hash("a"), b"\7" * 32).logs
    assert (event.topics[1], event.data) == (key_hash("a"), b"\7" * 32)


@pytest.fixture
def ledger() -> EvmLedger:
    """A ledger with four attestors, the operator among them."""
    return opened(EvmLedger.embedded(attestors=[each.address for each in OTHERS]))


def attested(ledger: EvmLedger, signers: list[Signer], entries=ENTRIES, key="00:15") -> dict[str, str]:
    return {each.address: inline(ledger.attestor(each).attest(key, entries, LEM, RESULT)) for each in signers}


def test_a_batch_is_settled_with_the_signatures_of_two_others(ledger):
    assert (len(ledger.attestors), ledger.quorum) == (4, 3)
    signatures = attested(ledger, OTHERS[:2])
    assert inline(ledger.settle("00:15", ENTRIES, 900, result=RESULT, attestations=signatures)).fresh
    assert inline(ledger.balances(["alice"])) == {"alice": 700}


def test_signatures_that_do_not_fit_are_left_out_and_the_rest_is_no_quorum(ledger):
    lie = attested(ledger, OTHERS[:1]) | attested(ledger, OTHERS[1:2], {"alice": -1, "bob": 1})
    lie |= {OTHERS[2].address: "not a signature", STRANGER.address: "00" * 65}
    with pytest.raises(Refused, match="no quorum"):
        inline(ledger.settle("00:15", ENTRIES, 900, result=RESULT, attestations=lie))
    assert inline(ledger.balances(["alice"])) == {"alice": 1_000}
    lie |= attested(ledger, OTHERS[2:])
    assert inline(ledger.settle("00:15", ENTRIES, 900, result=RESULT, attestations=lie)).fresh


def test_an_attestor_objects_with_its_own_key_and_a_stranger_cannot(ledger):
    inline(ledger.attestor(OTHERS[0]).object("00:15", RESULT))
    objection = inline(ledger.events())[0][-1]
    assert (objection.name, objection.values["attestor"]) == ("Objected", OTHERS[0].address.lower())
    assert objection.values["key"] == key_hash("00:15").hex()
    assert objection.values["result"] == RESULT
    with pytest.raises(Refused, match="only an attestor"):
        inline(ledger.attestor(ledger._owner).object("00:15", RESULT))


def test_a_result_is_a_hash(ledger):
    with pytest.raises(InvalidInput, match="64 hexadecimal"):
        inline(ledger.settle("00:15", ENTRIES, 900, result="a good one"))


def test_an_address_with_other_code_is_no_ledger(ledger):
    chain: Chain = embedded_chain()
    with pytest.raises(Conflict, match="does not run"):
        EvmLedger(chain, operator=OTHERS[0], contract=STRANGER.address)


def test_a_receipt_tops_up_once(ledger):
    inline(ledger.top_up("alice", 10, "bank transfer 17"))
    with pytest.raises(Conflict, match="receipt"):
        inline(ledger.top_up("alice", 10, "bank transfer 17"))
    assert inline(ledger.balances(["alice"])) == {"alice": ACCOUNTS["alice"] + 10}
