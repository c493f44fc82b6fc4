"""The products for which an agent forms virtual power plants, from wherever the demand comes (SPEC 5.3)."""

import msgspec

from ontology.coalition import FlexProduct

__all__ = ["PlannedProduct", "end_of", "starts_of"]


class PlannedProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A product, and when its negotiation begins, in epoch seconds."""

    announce_s: int
    product: FlexProduct


def end_of(product: FlexProduct) -> int:
    """Return when a product's delivery ends, in epoch seconds."""
    return product.start_s + product.step_s * len(product.target_w)


def starts_of(product: FlexProduct) -> list[int]:
    """Return the start of each of a product's steps, in epoch seconds."""
    return [product.start_s + step * product.step_s for step in range(len(product.target_w))]
