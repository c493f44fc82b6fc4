"""Proofs of datasets: each leads to the root that a market was closed with, and nothing else does."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from post_office import some

from behaviours.decisions.commitments import root
from behaviours.market.proving import Committed, is_proven, leaf_of, proof_of

HASHES = st.binary(min_size=32, max_size=32).map(bytes.hex)
COMMITTED = st.lists(
    st.builds(Committed, st.sampled_from(["ann", "bob", "eve"]), st.sampled_from([900, 1_800]), HASHES),
    min_size=1,
    max_size=20,
)


def root_of(committed):
    return root([leaf_of(each) for each in committed]).hex()


@some
@given(COMMITTED)
def test_every_commitment_is_proven_under_the_root_of_all(committed):
    for index in range(len(committed)):
        assert is_proven(proof_of(committed, index), root_of(committed))


@some
@given(COMMITTED, st.data())
def test_a_proof_of_anything_else_is_none(committed, data):
    index = data.draw(st.integers(0, len(committed) - 1))
    proof, top = proof_of(committed, index), root_of(committed)
    other = data.draw(HASHES.filter(lambda each: each != proof.commitment))
    assert not is_proven(msgspec.structs.replace(proof, commitment=other), top)
    assert not is_proven(msgspec.structs.replace(proof, player="mallory"), top)
    assert not is_proven(msgspec.structs.replace(proof, start_s=proof.start_s + 900), top)
    assert not is_proven(proof, other if other != top else proof.commitment)


def test_a_market_that_was_closed_with_nothing_proves_nothing():
    assert not is_proven(proof_of([Committed("ann", 900, "ab" * 32)], 0), "")
