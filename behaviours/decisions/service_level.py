"""Verdicts on service levels, in whole numbers exactly as the contract comes to them."""

from typing import NamedTuple

from ontology.service_level import KpiFeature, KpiRule, SlaState

__all__ = ["COMPLETE_ENOUGH", "MILLION", "KpiTerms", "Verdict", "judge", "millionths", "terms_of"]

MILLION = 1_000_000
COMPLETE_ENOUGH = 800_000
"""Parts per million of the readings that a verdict needs (SPEC 2.9)."""


class KpiTerms(NamedTuple):
    """When an indicator is violated and what that costs; values in millionths of the unit."""

    rule: KpiRule
    limit_millionths: int
    penalty_tokens: int
    graded: bool = False
    tolerance_millionths: int = 0
    most_tokens: int = 0


class Verdict(NamedTuple):
    """What a measure comes to."""

    state: SlaState
    penalty_tokens: int


def judge(terms: KpiTerms, value_millionths: int, completeness_millionths: int = MILLION) -> Verdict:
    """Judge a measure: its state, and the penalty in tokens.

    A graded penalty is ceil(P0 · (|v - limit| / max(|limit|, ε) - tolerance)) up to a most, ε a millionth.

    Source: SPEC 2.9; `_judge` of service_levels.vy.
    """
    if completeness_millionths < COMPLETE_ENOUGH:
        return Verdict(SlaState.NOT_EVALUABLE, 0)
    excess = value_millionths - terms.limit_millionths
    if terms.rule is KpiRule.BELOW:
        excess = -excess
    if excess <= 0:
        return Verdict(SlaState.OK, 0)
    if not terms.graded:
        return Verdict(SlaState.VIOLATED, terms.penalty_tokens)
    scale = max(abs(terms.limit_millionths), 1)
    over = max(0, excess * MILLION - terms.tolerance_millionths * scale)
    penalty = -(-terms.penalty_tokens * over // (scale * MILLION))
    return Verdict(SlaState.VIOLATED, min(penalty, terms.most_tokens))


def terms_of(feature: KpiFeature) -> KpiTerms:
    """Return the terms of an agreement's indicator in whole numbers."""
    return KpiTerms(
        rule=feature.rule,
        limit_millionths=millionths(feature.limit),
        penalty_tokens=feature.penalty_tokens,
        graded=feature.most_tokens > 0,
        tolerance_millionths=millionths(feature.tolerance),
        most_tokens=feature.most_tokens,
    )


def millionths(value: float) -> int:
    """Return a value in millionths, ties to the even one."""
    return round(value * MILLION)
