"""The products for which an agent forms virtual power plants, from wherever the demand comes (SPEC 5.3)."""

import msgspec

from ontology.coalition import FlexProduct

__all__ = ["PlannedProduct", "end_of"]


class PlannedProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A product, and when its negotiation begins, in epoch seconds."""

    announce_s: int
    product: FlexProduct


def end_of(product: FlexProduct) -> int:
    """Return when a product's delivery ends, in epoch seconds."""
    return product.start_s + product.step_s * len(product.target_w)
