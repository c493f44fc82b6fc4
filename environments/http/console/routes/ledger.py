"""The ledger: who holds what, how it moved, and verdicts on agreements with the data behind them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from litestar import Request, Response, get
from litestar.datastructures import State

from behaviours.decisions.service_level import Verdict, judge, millionths, terms_of
from environments.http.access import reading
from environments.http.console.devices import now_s
from environments.http.console.facts import facts, own_site, sayings
from environments.http.console.pages import page, register_entry
from environments.http.console.signing_in import shown_to
from environments.http.services import services_of
from ontology.base import Concept
from ontology.codec import message_type_of
from ontology.errors import ParityError
from ontology.ledger import LedgerEntry
from ontology.market import LemResult
from ontology.service_level import KpiFeature, KpiMeasure, Sla

if TYPE_CHECKING:
    from behaviours.ports import Ledger

__all__ = ["LEDGER", "Judged", "judged_measures", "movements"]

Any_ = Request[Any, Any, State]
MAY_LOOK, MAY_JUDGE = reading(message_type_of(LedgerEntry)), reading(message_type_of(Sla))
DAY_S = 86_400
LISTED = 200

register_entry("/console/ledger", "Ledger", MAY_LOOK, "Community")
register_entry("/console/agreements", "Agreements", MAY_JUDGE, "Community")


class Judged(NamedTuple):
    """A measure of an indicator, what it is judged by, and what it comes to."""

    measure: KpiMeasure
    feature: KpiFeature
    verdict: Verdict


class Account(NamedTuple):
    """An account of tokens: by how much it moved in the time shown, and what is in it where that is known."""

    account: str
    moved_tokens: int
    balance_tokens: int | None


@get("/ledger", opt=shown_to(MAY_LOOK))
async def ledger_page(request: Any_) -> Response[str]:
    """Show accounts and transactions of the last day."""
    since_s = now_s(request) - DAY_S
    results = await facts(request, LemResult, start_s=since_s)
    entries = await facts(request, LedgerEntry, start_s=since_s)
    moved = movements(results, entries)
    held = await _balances(request, moved)
    accounts = [Account(name, tokens, held.get(name)) for name, tokens in sorted(moved.items())]
    rows = [(result, row) for result in reversed(results) for row in result.rows][:LISTED]
    return page(request, "ledger.html", accounts=accounts, rows=rows, payments=entries[::-1][:LISTED])


@get("/agreements", opt=shown_to(MAY_JUDGE))
async def agreements_page(request: Any_) -> Response[str]:
    """Show agreements, their indicators, and each measure with its verdict."""
    return page(
        request,
        "agreements.html",
        agreements=await _told(request, Sla, "sla_id"),
        features=await _told(request, KpiFeature, "kpi_id"),
        judged=(await judged_measures(request))[:LISTED],
    )


async def judged_measures(request: Any_) -> list[Judged]:
    """Return the measures that the caller may see, the newest first, judged as the contract does."""
    features = {each.kpi_id: each for each in await _told(request, KpiFeature, "kpi_id")}
    measures = await facts(request, KpiMeasure)
    measures += [each.content for each in sayings(request, (KpiMeasure,), own_site(request), LISTED)]
    known = {(each.kpi_id, each.player, each.time_s): each for each in measures}
    judged = [
        Judged(each, feature, judge(terms_of(feature), millionths(each.value), millionths(each.completeness)))
        for each in known.values()
        if (feature := features.get(each.kpi_id)) is not None and feature.unit == each.unit
    ]
    return sorted(judged, key=lambda each: (-each.measure.time_s, each.measure.kpi_id, each.measure.player))


def movements(results: Iterable[LemResult], entries: Iterable[LedgerEntry]) -> dict[str, int]:
    """Return by how many tokens each account moved: what markets came to, and what was paid.

    A market that was corrected counts as it stands last.
    """
    newest: dict[tuple[str, int], LemResult] = {}
    for each in results:
        held = newest.get((each.segment_id, each.start_s))
        if held is None or each.correction >= held.correction:
            newest[each.segment_id, each.start_s] = each
    moved: dict[str, int] = defaultdict(int)
    for result in newest.values():
        for row in result.rows:
            moved[row.player] += row.tokens_net
    for entry in entries:
        moved[entry.debit] -= entry.amount_tokens
        moved[entry.credit] += entry.amount_tokens
    return dict(moved)


async def _told(request: Any_, kind: type[Concept], key: str) -> list[Any]:
    """Return agreements or indicators, each once: those stored, and those said in letters."""
    said = [each.content for each in sayings(request, (kind,), own_site(request), LISTED)]
    found = {getattr(each, key): each for each in (*reversed(said), *await facts(request, kind))}
    return sorted(found.values(), key=lambda each: str(getattr(each, key)))


async def _balances(request: Any_, accounts: Iterable[str]) -> Mapping[str, int]:
    """Return what is in accounts, where a ledger is served here; an account that is none is left out."""
    ledger = services_of(request).more.get("ledger")
    if ledger is None:
        return {}
    held: dict[str, int] = {}
    for account in accounts:
        try:
            held |= await cast("Ledger", ledger).balances([account])
        except ParityError:
            continue
    return held


LEDGER = (ledger_page, agreements_page)
