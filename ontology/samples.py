"""What a gateway sends of its sensors, many samples in one letter, and what became of them."""

from typing import Annotated

from msgspec import Meta

from ontology.base import Concept, Count, EpochSeconds, Identifier, Part, Real
from ontology.errors import Problem

__all__ = ["MOST_SAMPLES", "Sample", "SampleBatch", "SampleReceipt"]

MOST_SAMPLES = 500
"""In one batch: with long names of sensors it stays below the 48 kB of a body."""


class Sample(Part, frozen=True, kw_only=True):
    """One raw value of one sensor, in the unit of the sensor's type (saref:Measurement)."""

    sensor_id: Identifier
    time_s: EpochSeconds
    value: Real


class SampleBatch(Concept, frozen=True, kw_only=True, tag="parity:SampleBatch"):
    """Raw samples of a site's sensors on their way to the information layer (D8.1 3.1; no standard class).

    A batch may come again, and in any order: a sensor has one value at one instant.
    """

    site: Identifier
    batch_id: Identifier
    samples: Annotated[list[Sample], Meta(min_length=1, max_length=MOST_SAMPLES)]


class SampleReceipt(Concept, frozen=True, kw_only=True, tag="parity:SampleReceipt"):
    """Says that a batch is stored, what of it was known, and what was not taken (S2 ReceptionStatus)."""

    batch_id: Identifier
    stored: Count
    duplicates: Count = 0
    refused: Annotated[list[Problem], Meta(max_length=MOST_SAMPLES)] = []
