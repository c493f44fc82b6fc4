"""Names of types in paths: `parity:IntervalReading`, or `IntervalReading` for short."""

from environments.repository.keys import ENTITIES
from ontology.base import Concept
from ontology.errors import InvalidInput, problem

__all__ = ["class_of", "entity_of"]

_SHORT = {entity.partition(":")[2]: entity for entity in ENTITIES}


def entity_of(name: str) -> str:
    """Return the message type that a path names.

    Raises: InvalidInput when it is none that is stored.
    """
    entity = name if name in ENTITIES else _SHORT.get(name)
    if entity is None:
        raise InvalidInput(problem("entity", name, "a type that is stored; GET /api/v1/entities lists them"))
    return entity


def class_of(entity: str) -> type[Concept]:
    """Return the class of a stored type."""
    return ENTITIES[entity]
