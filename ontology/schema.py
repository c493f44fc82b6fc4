"""The ontology for others: JSON Schema 2020-12, a JSON-LD context, and Turtle mapped to the standards.

RDF is generated, not transported: a body with the context of `jsonld_context` added is JSON-LD 1.1.
Class IRIs expand from the wire tags; S2, UFTP and OpenADR have no namespace in RDF of their own, so
their layers stand under `urn:parity:onto:1:` and name the standard's element as `dcterms:source`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from ontology.base import ONTOLOGY, Concept
from ontology.codec import MESSAGE_TYPES, message_type_of
from ontology.errors import InvalidInput, problem

__all__ = ["CLOSE_MATCHES", "PREFIXES", "json_schema", "jsonld_context", "turtle"]

PARITY = "urn:parity:onto:1#"

PREFIXES: dict[str, str] = {
    "parity": PARITY,
    "s2": "urn:parity:onto:1:s2#",
    "uftp": "urn:parity:onto:1:uftp#",
    "oadr": "urn:parity:onto:1:oadr#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
"""The namespaces of the wire; every tag expands with one of them."""

_STANDARDS: dict[str, str] = {
    "cim": "http://iec.ch/TC57/CIM100#",
    "dcterms": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "owl": "http://www.w3.org/2002/07/owl#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "s4bldg": "https://saref.etsi.org/saref4bldg/",
    "s4ener": "https://saref.etsi.org/saref4ener/",
    "s4grid": "https://saref.etsi.org/saref4grid/",
    "saref": "https://saref.etsi.org/core/",
    "schema": "https://schema.org/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
}

CLOSE_MATCHES: dict[str, tuple[str, ...]] = {
    "parity:User": ("foaf:Person", "cim:Customer"),
    "parity:Building": ("s4bldg:Building", "cim:ServiceLocation"),
    "parity:UsagePoint": ("cim:UsagePoint",),
    "parity:AssetType": ("saref:Device",),
    "parity:Asset": ("s4ener:Device",),
    "parity:SensorType": ("saref:Property",),
    "parity:Sensor": ("saref:Sensor",),
    "parity:Measurement": ("saref:Measurement", "cim:Reading"),
    "parity:IntervalReading": ("cim:IntervalBlock",),
    "parity:GridSegment": ("cim:PowerTransformer",),
    "parity:GridMeasurement": ("s4grid:EnergyAndPowerProperty", "cim:Analog"),
    "s2:Instruction": ("s4ener:FlexibilityInstruction", "saref:Command"),
    "s2:InstructionStatus": ("s4ener:InstructionStatus",),
    "parity:execution_time_s": ("s4ener:hasExecutionTime",),
    "parity:status": ("s4ener:hasInstructionStatus",),
}
"""Classes and keys whose nearest kin in a published ontology has an IRI (SPEC 3.4)."""

_SOURCES: dict[str, str] = {
    "parity:Player": "SUPSI Player",
    "parity:UserRole": "HEMRM; SUPSI player.role",
    "parity:UsagePoint": "UFTP EntityAddress",
    "parity:AssetType": "S2 ControlType",
    "parity:Asset": "S2 ResourceManagerDetails",
    "parity:AssetAlarm": "SunSpec Evt; OCPP StatusNotification",
    "parity:SiteStatus": "OCPP BootNotification, StatusNotification",
    "parity:SensorType": "S2 CommodityQuantity",
    "parity:Measurement": "S2 PowerMeasurement; OpenADR READING",
    "parity:IntervalReading": "UFTP Metering; SUPSI lemDataset",
    "parity:Forecast": "S2 PowerForecast; OpenADR USAGE_FORECAST; SUPSI forecast",
    "parity:FlexibilityForecast": "OpenADR UP_/DOWN_REGULATION_AVAILABLE; FlexOffer extension of SAREF4ENER",
    "s2:FlexEnvelope": "S2 PEBC.PowerConstraints; S2 PEBC.EnergyConstraint",
    "s2:StorageModel": "S2 FRBC.SystemDescription",
    "s2:StorageStatus": "S2 FRBC.StorageStatus; OpenADR STORAGE_CHARGE_LEVEL",
    "s2:Instruction": "S2 *.Instruction; OpenADR DISPATCH_SETPOINT, CONTROL_SETPOINT",
    "s2:InstructionStatus": "S2 InstructionStatusUpdate",
    "s2:InstructionBatch": "S2 *.Instruction",
    "s2:InstructionBatchStatus": "S2 InstructionStatusUpdate",
    "parity:EvConnectionEvent": "OCPP StartTransaction, StatusNotification",
    "parity:EvSocUpdate": "OCPP MeterValues",
    "parity:EvDisconnectionEvent": "OCPP StopTransaction",
    "parity:EvSession": "ACN-Data session",
    "parity:ChargingSchedule": "OCPP ChargingProfile",
    "parity:GridSegment": "UFTP CongestionPoint",
    "parity:GridOutlook": "BDEW Smart Grids Ampelkonzept; OpenADR SIMPLE",
    "parity:GridStatusEvent": "SUPSI gridState; OpenADR SIMPLE, ALERT_GRID_EMERGENCY",
    "oadr:GridConstraint": "OpenADR IMPORT_CAPACITY_LIMIT, EXPORT_CAPACITY_LIMIT",
    "parity:LemParameters": "SUPSI defaultLemPars",
    "parity:Lem": "SUPSI lem",
    "parity:LemDataset": "SUPSI lemDataset",
    "oadr:PriceProfile": "OpenADR PRICE, EXPORT_PRICE",
    "uftp:DPrognosis": "UFTP D-Prognosis",
    "uftp:FlexRequest": "UFTP FlexRequest",
    "uftp:FlexOffer": "UFTP FlexOffer",
    "uftp:FlexOrder": "UFTP FlexOrder",
    "uftp:FlexSettlement": "UFTP FlexSettlement",
    "uftp:FlexReservation": "UFTP FlexReservationUpdate",
    "uftp:FlexOfferRevocation": "UFTP FlexOfferRevocation",
    "uftp:FlexMetering": "UFTP Metering",
    "uftp:FlexResponse": "UFTP PayloadMessageResponse",
    "uftp:FlexSettlementResponse": "UFTP FlexSettlementResponse",
    "oadr:DRSignal": "OpenADR DISPATCH_SETPOINT_RELATIVE",
    "oadr:DemandResponseReport": "OpenADR REPORT, DISPATCH_SETPOINT_RELATIVE",
    "parity:Sla": "SUPSI sla",
    "parity:KpiFeature": "SUPSI kpiFeatures",
    "parity:KpiMeasure": "SUPSI kpiMeasure",
    "parity:Wallet": "SUPSI balances",
    "parity:Vpp": "DELTA VirtualNode, Cluster",
    "parity:DirectoryEntry": "FIPA SC00023 df-agent-description",
    "parity:DirectorySearch": "FIPA SC00023 search",
    "parity:FlexProduct": "UFTP FlexRequest; DYCE product portfolio",
    "parity:SelectionUpdate": "COHDA working memory",
    "parity:Query": "FIPA query-ref",
    "parity:QueryResult": "FIPA inform-ref",
    "parity:Subscription": "FIPA SC00035 Subscribe",
    "parity:Acknowledgement": "FIPA agree; S2 ReceptionStatus",
    "parity:Refusal": "FIPA refuse",
    "parity:FailureReport": "FIPA failure",
    "parity:Rejection": "FIPA not-understood",
}

_XSD = {int: "xsd:integer", float: "xsd:double", bool: "xsd:boolean", str: "xsd:string"}


# ----------------------------------------------------------------------------------------- JSON Schema


def json_schema(cls: type[Concept] | None = None) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a message type, or of the whole ontology.

    It asks for the `type` in the body, which the codec forgives when the metadata has the msgType.

    Raises: InvalidInput when the class is no message type.
    """
    classes = list(MESSAGE_TYPES.values()) if cls is None else [cls]
    if cls is not None and MESSAGE_TYPES.get(str(cls.__struct_config__.tag)) is not cls:
        raise InvalidInput(problem("cls", cls.__name__, "a message type of " + ONTOLOGY))
    references, definitions = msgspec.json.schema_components(classes, ref_template="#/$defs/{name}")
    root: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:parity:onto:1:schema" + ("" if cls is None else ":" + message_type_of(cls)),
        "title": ONTOLOGY if cls is None else message_type_of(cls),
    }
    root |= {"oneOf": list(references)} if cls is None else references[0]
    return {**root, "$defs": dict(sorted(definitions.items()))}


# --------------------------------------------------------------------------------------- keys and types


class _Key(msgspec.Struct):
    """What a JSON key holds, over all classes that use it."""

    datatypes: set[str] = msgspec.field(default_factory=set)
    is_list: bool = False
    owners: list[str] = msgspec.field(default_factory=list)


def _structs() -> dict[str, inspect.StructType]:
    """Return every class of the wire, nested parts included, by its compact IRI."""
    found: dict[str, inspect.StructType] = {}
    queue = [inspect.type_info(cls) for cls in MESSAGE_TYPES.values()]
    while queue:
        node = queue.pop()
        if isinstance(node, inspect.StructType):
            name = _iri_of(node)
            if name in found:
                continue
            found[name] = node
            queue.extend(field.type for field in node.fields)
        else:
            queue.extend(_inner(node))
    return dict(sorted(found.items()))


def _iri_of(struct: inspect.StructType) -> str:
    return str(struct.tag) if struct.tag else f"parity:{struct.cls.__name__}"


def _inner(node: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(node, inspect.Metadata):
        yield node.type
    elif isinstance(node, inspect.ListType):
        yield node.item_type
    elif isinstance(node, inspect.UnionType):
        yield from node.types


def _leaves(node: inspect.Type) -> Iterator[tuple[inspect.Type, bool]]:
    """Yield the types that a field may hold, and whether they stand in a list."""
    inner = list(_inner(node))
    if not inner:
        yield node, False
    for each in inner:
        for leaf, in_list in _leaves(each):
            yield leaf, in_list or isinstance(node, inspect.ListType)


def _datatype(leaf: inspect.Type) -> str:
    if isinstance(leaf, inspect.StructType):
        return _iri_of(leaf)
    if isinstance(leaf, inspect.EnumType):
        return _XSD[type(next(iter(leaf.cls)).value)]
    return {
        inspect.IntType: _XSD[int],
        inspect.FloatType: _XSD[float],
        inspect.BoolType: _XSD[bool],
        inspect.StrType: _XSD[str],
    }[type(leaf)]


def _keys() -> dict[str, _Key]:
    """Return every JSON key of the wire, with what it holds and who uses it."""
    keys: dict[str, _Key] = {}
    for owner, struct in _structs().items():
        for field in struct.fields:
            key = keys.setdefault(field.encode_name, _Key())
            key.owners.append(owner)
            for leaf, in_list in _leaves(field.type):
                if not isinstance(leaf, inspect.NoneType):
                    key.datatypes.add(_datatype(leaf))
                key.is_list |= in_list
    return dict(sorted(keys.items()))


# -------------------------------------------------------------------------------------- JSON-LD, Turtle


def jsonld_context() -> dict[str, Any]:
    """Return the JSON-LD 1.1 context that maps every key and wire tag to an IRI."""
    context: dict[str, Any] = {"@version": 1.1, **PREFIXES, "type": "@type"}
    for name, key in _keys().items():
        term: dict[str, Any] = {"@id": f"parity:{name}"}
        datatype = next(iter(key.datatypes)) if len(key.datatypes) == 1 else ""
        if datatype in ("xsd:integer", "xsd:double", "xsd:boolean"):
            term["@type"] = datatype
        if key.is_list:
            term["@container"] = "@list"
        context[name] = term
    return {"@context": context}


def turtle() -> str:
    """Return the ontology in Turtle: classes, properties and their kin in the standards."""
    from rdflib import OWL, RDF, RDFS, Graph, Literal, URIRef  # heavy, and only needed for the export

    prefixes = {**PREFIXES, **_STANDARDS}

    def iri(compact: str) -> Any:
        prefix, _, name = compact.partition(":")
        return URIRef(prefixes[prefix] + name)

    graph = Graph(bind_namespaces="none")
    for prefix, namespace in prefixes.items():
        graph.bind(prefix, namespace)
    graph.add((URIRef(PARITY.rstrip("#")), RDF.type, OWL.Ontology))
    graph.add((URIRef(PARITY.rstrip("#")), OWL.versionInfo, Literal(ONTOLOGY)))
    for name, struct in _structs().items():
        graph.add((iri(name), RDF.type, OWL.Class))
        graph.add((iri(name), RDFS.label, Literal(struct.cls.__name__)))
        graph.add((iri(name), RDFS.comment, Literal((struct.cls.__doc__ or "").partition("\n")[0])))
    for name, key in _keys().items():
        subject = iri(f"parity:{name}")
        literal = all(datatype.startswith("xsd:") for datatype in key.datatypes)
        kind = OWL.DatatypeProperty if literal else OWL.ObjectProperty
        graph.add((subject, RDF.type, RDF.Property if key.is_list else kind))
        for owner in key.owners:
            graph.add((subject, iri("schema:domainIncludes"), iri(owner)))
        for datatype in key.datatypes:
            graph.add((subject, iri("schema:rangeIncludes"), iri(datatype)))
    for name, matches in CLOSE_MATCHES.items():
        for match in matches:
            graph.add((iri(name), iri("skos:closeMatch"), iri(match)))
    for name, source in _SOURCES.items():
        graph.add((iri(name), iri("dcterms:source"), Literal(source)))
    return str(graph.serialize(format="turtle"))
