"""How a device speaks MQTT, written down: its topics, where values are in its messages, and in which unit.

```yaml
asset: h001-bess                      # the device, as the agents call it
kind: storage                         # storage, thermal or power: what it reports as
values:
  - {quantity: power_w, topic: home/bess/state, path: $.power_kw, scale: 1000, sign: -1}
  - {quantity: state_of_charge, topic: home/bess/state, path: $.soc, scale: 0.01}
availability: {topic: home/bess/online, online: "true"}
stale_after_s: 60
commands:
  - {for: setpoint_w, topic: home/bess/set, template: '{"power_kw": {value}}', scale: 0.001, sign: -1}
  - {for: release, topic: home/bess/set, template: '{"mode": "auto"}'}
acknowledgement: {topic: home/bess/ack, path: $.id, status_path: $.status}
```
"""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ontology.errors import InvalidInput, Problem, problem

__all__ = ["Acknowledged", "Availability", "TopicCommand", "TopicMap", "TopicValue", "require_consistent"]

Topic = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^+#\x00]+$")]
JsonPath = Annotated[
    str,
    Meta(
        pattern=r"^(\$((\.[A-Za-z0-9_-]+)|(\[[0-9]+\]))*)?$",
        description="such as `$.meter.power[0]`; `$` is the whole, empty is text that is no JSON",
    ),
]
QUANTITIES = ("power_w", "state_of_charge", "temperature_degc", "outdoor_degc", "energy_wh")


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a topic map."""


class TopicValue(_Section, frozen=True, kw_only=True):
    """One value that the device tells: `value = sign · scale · told + offset`, consumption positive."""

    quantity: Annotated[
        Literal["power_w", "state_of_charge", "temperature_degc", "outdoor_degc", "energy_wh"],
        Meta(description="what it is, in our unit"),
    ]
    topic: Annotated[Topic, Meta(description="where it is told")]
    path: Annotated[JsonPath, Meta(description="where in the message")] = "$"
    scale: Annotated[float, Meta(description="our unit for one of the device's, such as 1000 for kW")] = 1.0
    sign: Annotated[Literal[1, -1], Meta(description="-1 where the device counts consumption negative")] = 1
    offset: Annotated[float, Meta(description="added after scaling")] = 0.0


class Availability(_Section, frozen=True, kw_only=True):
    """Where the device, or by its last will the broker, says that it is there."""

    topic: Topic
    online: Annotated[str, Meta(description="what means that it is there")] = "online"


class TopicCommand(_Section, frozen=True, kw_only=True, rename={"is_for": "for"}):
    """What is published to have the device do something; `{value}` and `{id}` stand for what is wanted."""

    is_for: Annotated[
        Literal["setpoint_w", "setpoint_degc", "power_max_w", "power_min_w", "release"],
        Meta(description="which part of an instruction; `release` gives the device back to itself"),
    ]
    topic: Topic
    template: Annotated[str, Meta(max_length=2_000, description="the message")] = "{value}"
    scale: Annotated[float, Meta(description="the device's unit for one of ours, such as 0.001 for kW")] = 1.0
    sign: Annotated[Literal[1, -1], Meta(description="-1 where the device counts consumption negative")] = 1
    decimals: Annotated[int, Meta(ge=0, le=9, description="to which it is rounded")] = 3


class Acknowledged(_Section, frozen=True, kw_only=True):
    """Where the device says what became of a command."""

    topic: Topic
    path: Annotated[
        JsonPath, Meta(description="where the id of the command is; empty: any message counts")
    ] = ""
    status_path: Annotated[JsonPath, Meta(description="where it says whether it obeys; empty: it does")] = ""
    accepted: Annotated[tuple[str, ...], Meta(description="what means that it obeys")] = (
        "ok",
        "accepted",
        "ACCEPTED",
        "STARTED",
        "SUCCEEDED",
    )


class TopicMap(_Section, frozen=True, kw_only=True):
    """A device at an MQTT broker."""

    asset: Annotated[str, Meta(min_length=1, max_length=256, description="the device, such as `h001-bess`")]
    name: Annotated[str, Meta(description="its name at the site; empty: what is after the last hyphen")] = ""
    kind: Annotated[
        Literal["storage", "thermal", "power", "meter"], Meta(description="what its reports are")
    ] = "power"
    values: Annotated[tuple[TopicValue, ...], Meta(description="what it tells")]
    availability: Annotated[Availability | None, Meta(description="none: who is silent is away")] = None
    stale_after_s: Annotated[
        int, Meta(ge=0, le=86_400, description="values that are older count as none; 0: they never are")
    ] = 60
    commands: Annotated[tuple[TopicCommand, ...], Meta(description="what it can be told")] = ()
    acknowledgement: Annotated[Acknowledged | None, Meta(description="none: what is published counts")] = None
    answer_s: Annotated[float, Meta(gt=0, le=60, description="how long to wait for an answer")] = 2.0

    @property
    def device_name(self) -> str:
        """The device's name at its site."""
        return self.name or self.asset.rpartition("-")[2]


_NEEDED = {
    "storage": ("power_w", "state_of_charge"),
    "thermal": ("power_w", "temperature_degc", "outdoor_degc"),
    "power": ("power_w",),
    "meter": ("power_w",),
}


def require_consistent(topic_map: TopicMap) -> None:
    """Check what must hold between the parts of a map.

    Raises: InvalidInput naming every quantity that is missing or doubled, and every template that does not
    say what is wanted.
    """
    told = [value.quantity for value in topic_map.values]
    problems: list[Problem] = [
        problem("values", name, f"needed by a device of kind {topic_map.kind}")
        for name in _NEEDED[topic_map.kind]
        if name not in told
    ]
    problems += [problem("values", name, "told once") for name in sorted({*told}) if told.count(name) > 1]
    orders = [command.is_for for command in topic_map.commands]
    problems += [
        problem("commands", name, "there once") for name in sorted({*orders}) if orders.count(name) > 1
    ]
    for index, command in enumerate(topic_map.commands):
        if command.is_for != "release" and "{value}" not in command.template:
            problems.append(problem(f"commands[{index}].template", command.template, "with {value} in it"))
    answer = topic_map.acknowledgement
    if answer is not None and answer.path:
        problems += [
            problem(f"commands[{index}].template", command.template, "with {id} in it, to be acknowledged")
            for index, command in enumerate(topic_map.commands)
            if "{id}" not in command.template
        ]
    if problems:
        raise InvalidInput(problems)


def steps_of(path: str) -> list[str | int]:
    """Return the keys and indices of a path."""
    return [
        int(index) if index else key for key, index in re.findall(r"\.([A-Za-z0-9_-]+)|\[([0-9]+)\]", path)
    ]
