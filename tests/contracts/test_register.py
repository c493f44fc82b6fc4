"""The register as agents see it: on the chain, and its twin in memory."""

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from ledger_helpers import inline

from behaviours.ports import MarketRegister, RegisteredMarket
from contracts import EvmLedger
from contracts.chain import Signer
from contracts.memory_register import MemoryRegister
from contracts.register import DSO, MARKET_OPERATOR, EvmMarketRegister, Registry
from ontology.errors import ParityError, Refused
from ontology.grid import GridConstraint, GridState, GridStatusEvent
from ontology.market import GREEN_PARAMETERS, YELLOW_PARAMETERS, LemState, Mechanism

pytestmark = pytest.mark.chain
DSO_KEY, OPERATOR_KEY = bytes([31]) * 32, bytes([32]) * 32
HASHES = ["", "1f" * 32, "2e" * 32]


def event(state: GridState, start_s: int = 900, segment_id: str = "f1") -> GridStatusEvent:
    return GridStatusEvent(
        segment_id=segment_id,
        start_s=start_s,
        end_s=start_s + 900,
        published_at_s=start_s - 300,
        state=state,
        causes=[],
        loading=0.5,
        voltage_min_pu=0.99,
        voltage_max_pu=1.01,
    )


def market(
    start_s: int = 900, segment_id: str = "f1", datasets: str = "", result: str = ""
) -> RegisteredMarket:
    return RegisteredMarket(
        start_s=start_s,
        end_s=start_s + 900,
        segment_id=segment_id,
        grid_state=GridState.GREEN,
        players="ab" * 32,
        datasets=datasets,
        result=result,
    )


class Writers:
    """The register as DSO, market operator and aggregator write it."""

    def __init__(self) -> None:
        dso, operator = Signer(DSO_KEY), Signer(OPERATOR_KEY)
        self.ledger = EvmLedger.embedded(funded=[dso.address, operator.address])
        self.registry: Registry = self.ledger.registry(dso)
        self.dso: EvmMarketRegister = self.registry.writer(dso, DSO)
        self.operator = self.registry.writer(operator, MARKET_OPERATOR)
        self.aggregator = self.registry.writer(self.ledger.operator)
        self.everybody = self.registry.reader()


@pytest.fixture
def writers() -> Writers:
    return Writers()


def test_everybody_reads_what_each_role_has_written(writers):
    inline(writers.dso.set_grid_states([event(GridState.GREEN), event(GridState.RED, segment_id="f2")], 600))
    limits = GridConstraint(segment_id="f1", start_s=900, import_max_w=[40_000], export_max_w=[30_000])
    inline(writers.dso.set_constraint(limits, 600))
    inline(writers.operator.set_parameters(YELLOW_PARAMETERS, 0))
    inline(writers.aggregator.open_markets([market(), market(segment_id="f2")], 620))
    inline(writers.aggregator.settle_markets([market(datasets=HASHES[1], result=HASHES[2])], 1_860))
    read = writers.everybody
    assert inline(read.grid_state("f2", 900)) is GridState.RED
    assert inline(read.grid_state("f2", 1_800)) is None
    assert inline(read.constraint("f1")) == limits
    assert inline(read.constraint("f2")) is None
    assert inline(read.parameters(GridState.YELLOW)) == YELLOW_PARAMETERS
    assert inline(read.parameters(GridState.GREEN)) is None
    solved, active = inline(read.market(900, 1_800, "f1")), inline(read.market(900, 1_800, "f2"))
    assert (solved.state, solved.datasets, solved.result) == (LemState.SOLVED, HASHES[1], HASHES[2])
    assert (active.state, active.datasets) == (LemState.ACTIVE, "")
    assert inline(read.market(1_800, 2_700, "f1")) is None


def test_of_two_states_that_waited_for_the_node_together_the_graver_one_stands(writers):
    inline(writers.dso.set_grid_states([event(GridState.RED), event(GridState.YELLOW)], 600))
    assert inline(writers.everybody.grid_state("f1", 900)) is GridState.RED


@pytest.fixture(scope="module")
def shared_writers() -> Writers:
    """For tests that leave nothing behind that others look at."""
    return Writers()


@pytest.mark.parametrize("mechanism", Mechanism)
def test_a_tariff_is_read_as_it_was_written_whatever_the_mechanism(shared_writers, mechanism):
    given = msgspec.structs.replace(GREEN_PARAMETERS, mechanism=mechanism)
    inline(shared_writers.operator.set_parameters(given, 0))
    assert inline(shared_writers.everybody.parameters(GridState.GREEN)) == given


def test_nobody_writes_what_is_anothers(shared_writers):
    writers = shared_writers
    with pytest.raises(Refused, match="wrong role"):
        inline(writers.aggregator.set_grid_states([event(GridState.GREEN)], 600))
    with pytest.raises(Refused, match="wrong role"):
        inline(writers.operator.open_markets([market()], 600))
    with pytest.raises(Refused, match="without a key"):
        inline(writers.everybody.open_markets([market()], 600))
    with pytest.raises(Refused, match="wrong role"):
        inline(writers.aggregator.set_parameters(GREEN_PARAMETERS, 0))


def test_a_market_that_waits_for_its_attestors_is_seen_to_be_closed_and_solved_later(writers):
    inline(writers.aggregator.open_markets([market(), market(1_800)], 620))
    inline(writers.aggregator.close_markets([market(datasets=HASHES[1])], 1_860))
    assert inline(writers.everybody.market(900, 1_800, "f1")).state is LemState.CLOSED
    both = [market(datasets=HASHES[1], result=HASHES[2]), market(1_800, datasets=HASHES[1], result=HASHES[1])]
    inline(writers.aggregator.settle_markets(both, 2_760))
    found = [inline(writers.everybody.market(each.start_s, each.end_s, "f1")) for each in both]
    assert [each.result for each in found] == [HASHES[2], HASHES[1]]


def test_the_register_of_a_chain_in_a_file_is_found_again(tmp_path):
    path = tmp_path / "chain.sqlite"
    dso = Signer(DSO_KEY)
    ledger = EvmLedger.embedded(path=path, funded=[dso.address])
    inline(ledger.registry(dso).writer(dso).set_grid_states([event(GridState.YELLOW)], 600))
    ledger.close()
    again = EvmLedger.embedded(path=path, funded=[dso.address]).registry(Signer(DSO_KEY))
    assert inline(again.reader().grid_state("f1", 900)) is GridState.YELLOW


STARTS = st.sampled_from([900, 1_800])
SEGMENTS = st.sampled_from(["f1", "f2"])
MARKETS = st.tuples(STARTS, SEGMENTS, st.sampled_from(HASHES))


def settled_together(datasets: str, markets: list[tuple[int, str, str]]) -> list[RegisteredMarket]:
    return [market(start_s, segment_id, datasets, result) for start_s, segment_id, result in markets]


ACTS = st.one_of(
    st.tuples(
        st.just("set_grid_states"),
        st.lists(st.builds(event, st.sampled_from(GridState), STARTS, SEGMENTS), min_size=1, max_size=3),
    ),
    st.tuples(
        st.sampled_from(["open_markets", "close_markets", "settle_markets"]),
        st.builds(
            settled_together,
            st.sampled_from(HASHES),
            st.lists(MARKETS, min_size=1, max_size=2, unique_by=lambda each: each[:2]),
        ),
    ),
    st.tuples(
        st.just("set_constraint"),
        st.builds(
            lambda start_s, limit_w: GridConstraint(
                segment_id="f1", start_s=start_s, import_max_w=[limit_w], export_max_w=[limit_w]
            ),
            STARTS,
            st.integers(0, 10**6),
        ),
    ),
)


def outcome(register: MarketRegister, act: tuple[str, object]) -> str:
    try:
        inline(getattr(register, act[0])(act[1], 0))
    except ParityError as error:
        return type(error).__name__
    return "written"


def state_of(register: MarketRegister) -> list[object]:
    places = [(start_s, segment) for start_s in (900, 1_800) for segment in ("f1", "f2")]
    return [
        *(inline(register.grid_state(segment, start_s)) for start_s, segment in places),
        *(inline(register.market(start_s, start_s + 900, segment)) for start_s, segment in places),
        inline(register.constraint("f1")),
    ]


def assert_twins(acts: list[tuple[str, object]], after_each: bool) -> None:
    """Both take or turn down the same, and say the same of it afterwards."""
    writers, memory = Writers(), MemoryRegister()
    by = {"set_grid_states": writers.dso, "set_constraint": writers.dso}
    for act in acts:
        assert outcome(by.get(act[0], writers.aggregator), act) == outcome(memory, act)
        if after_each or act is acts[-1]:
            assert state_of(writers.everybody) == state_of(memory)


@given(st.lists(ACTS, min_size=1, max_size=6))
@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_the_twins_agree_on_any_sequence_of_writing_and_writing_again(acts):
    assert_twins(acts, after_each=False)


@pytest.mark.slow
@given(st.lists(ACTS, min_size=1, max_size=8))
@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_the_twins_agree_after_each_act(acts):
    assert_twins(acts, after_each=True)
