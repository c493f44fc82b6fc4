"""The ontology for others agrees with what the codec reads."""

import json

import jsonschema
import pytest
from ontology_samples import EVERY_TYPE, LEAST, MOST, USUAL, as_json, invalid
from rdflib import OWL, RDF, Graph, URIRef

from ontology.base import Concept
from ontology.codec import MESSAGE_TYPES
from ontology.errors import InvalidInput
from ontology.schema import PREFIXES, json_schema, jsonld_context, turtle

CONTEXT = jsonld_context()["@context"]
SCHEMAS = {
    message_type: jsonschema.Draft202012Validator(json_schema(cls))
    for message_type, cls in MESSAGE_TYPES.items()
}
# A type cannot say these: the schema is more lenient than the codec there.
WRONG_FOR_THE_SCHEMA = [
    "missing field",
    "unknown field",
    "wrong type",
    "null",
    "another tag",
    "not an object",
]


@pytest.fixture(scope="module")
def whole():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("which", [LEAST, USUAL, MOST], ids=["least", "usual", "most"])
@pytest.mark.parametrize("message_type", EVERY_TYPE)
def test_the_schema_accepts_what_the_codec_accepts(message_type, which):
    SCHEMAS[message_type].validate(as_json(message_type, which))


@pytest.mark.parametrize("wrong", WRONG_FOR_THE_SCHEMA)
@pytest.mark.parametrize("message_type", EVERY_TYPE)
def test_the_schema_rejects_what_the_codec_rejects(message_type, wrong):
    assert not SCHEMAS[message_type].is_valid(invalid(message_type)[wrong])


def test_every_schema_is_valid_json_schema_2020_12():
    for message_type, validator in SCHEMAS.items():
        jsonschema.Draft202012Validator.check_schema(validator.schema)
        assert validator.schema["$id"].endswith(message_type)


def test_the_whole_ontology_is_one_schema(whole):
    whole.validate(as_json("parity:IntervalReading"))
    assert not whole.is_valid({"type": "parity:IntervalReading"})
    assert not whole.is_valid({"reason": "no type"})
    assert len(whole.schema["oneOf"]) == len(EVERY_TYPE)


def test_a_class_that_is_no_message_has_no_schema():
    with pytest.raises(InvalidInput):
        json_schema(Concept)


# -- JSON-LD ----------------------------------------------------------------------------------------------


def keys_of(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


@pytest.mark.parametrize("message_type", EVERY_TYPE)
def test_no_key_is_unmapped(message_type):
    assert [key for key in keys_of(as_json(message_type, MOST)) if key not in CONTEXT] == []


@pytest.mark.parametrize("message_type", EVERY_TYPE)
def test_expansion_keeps_every_key_under_an_absolute_iri(message_type):
    body = as_json(message_type, USUAL)
    graph = Graph().parse(data=json.dumps({"@context": CONTEXT, **body}), format="json-ld")
    root = next(graph.subjects(RDF.type, URIRef(expanded(message_type))))
    told = {str(predicate) for predicate in graph.predicates(root)} - {str(RDF.type)}
    assert told == {
        PREFIXES["parity"] + key for key, value in body.items() if key != "type" and value is not None
    }


def expanded(compact: str) -> str:
    prefix, name = compact.split(":")
    return PREFIXES[prefix] + name


def test_every_tag_and_term_expands_to_an_absolute_iri():
    assert {message_type.split(":")[0] for message_type in EVERY_TYPE} <= set(PREFIXES)
    terms = {key: value for key, value in CONTEXT.items() if isinstance(value, dict)}
    assert all(expanded(term["@id"]).startswith("urn:parity:onto:1#") for term in terms.values())


# -- Turtle -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graph():
    return Graph().parse(data=turtle(), format="turtle")


@pytest.mark.parametrize("message_type", EVERY_TYPE)
def test_every_message_type_is_a_class_in_turtle(graph, message_type):
    assert (URIRef(expanded(message_type)), RDF.type, OWL.Class) in graph


@pytest.mark.parametrize(
    ("message_type", "kin"),
    [
        ("parity:Asset", "https://saref.etsi.org/saref4ener/Device"),
        ("s2:Instruction", "https://saref.etsi.org/saref4ener/FlexibilityInstruction"),
        ("parity:Sensor", "https://saref.etsi.org/core/Sensor"),
        ("parity:UsagePoint", "http://iec.ch/TC57/CIM100#UsagePoint"),
    ],
)
def test_concepts_are_mapped_to_their_kin_in_the_standards(graph, message_type, kin):
    close_match = URIRef("http://www.w3.org/2004/02/skos/core#closeMatch")
    assert (URIRef(expanded(message_type)), close_match, URIRef(kin)) in graph


def test_turtle_is_the_same_every_time():
    assert turtle() == turtle()
