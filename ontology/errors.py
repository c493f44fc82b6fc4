"""The one error tree, and what each error is as a FIPA act, an HTTP status and an exit code.

```
ParityError
├── InvalidInput      what was handed in breaks its rules; carries every problem   (also a ValueError)
├── Refused           understood, but not done
├── NotUnderstood     a letter that cannot be read; carries every problem
├── Failed            agreed or begun, but went wrong
├── Unavailable       a peer, server, device or chain cannot be reached in time
└── Conflict          contradicts what is already held
```
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from ontology.performatives import Performative

__all__ = [
    "Conflict",
    "Consequence",
    "Failed",
    "InvalidInput",
    "NotUnderstood",
    "ParityError",
    "Problem",
    "Refused",
    "Unavailable",
    "consequence_of",
]

SHOWN_CHARACTERS = 200


class Problem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One thing that is wrong: where it is, what stands there and what would be right."""

    path: str
    value: str
    expected: str

    def __str__(self) -> str:
        return f"{self.path}  {self.value}  {self.expected}"


def problem(path: str, value: object, expected: str) -> Problem:
    """Describe one problem; a long value is cut."""
    shown = value if isinstance(value, str) else repr(value)
    if len(shown) > SHOWN_CHARACTERS:
        shown = shown[: SHOWN_CHARACTERS - 1] + "…"
    return Problem(path, shown, expected)


class ParityError(Exception):
    """Anything that goes wrong for a reason that a person or an agent can act on."""


class _WithProblems(ParityError):
    """An error that carries all problems found, not only the first."""

    def __init__(self, problems: Iterable[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = Problem("", "", problems)
        if isinstance(problems, Problem):
            problems = (problems,)
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("; ".join(str(each).strip() for each in self.problems))

    def __reduce__(self) -> tuple[type, tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class InvalidInput(_WithProblems, ValueError):
    """What was handed in breaks its rules; `problems` lists path, value and what was expected."""


class Refused(ParityError):
    """The request was understood and is not granted."""


class NotUnderstood(_WithProblems):
    """A letter cannot be read; `problems` lists path, value and what was expected."""


class Failed(ParityError):
    """The action was begun and went wrong."""


class Unavailable(ParityError):
    """A peer, server, device or chain cannot be reached in time; trying again may help."""


class Conflict(ParityError):
    """The request contradicts what is already held."""


class Consequence(NamedTuple):
    """What an error is on each of the three ways out: to an agent, over HTTP, to a shell."""

    act: Performative
    http_status: int
    exit_code: int


_CONSEQUENCES: dict[type[BaseException], Consequence] = {
    InvalidInput: Consequence(Performative.NOT_UNDERSTOOD, 422, 2),
    NotUnderstood: Consequence(Performative.NOT_UNDERSTOOD, 400, 2),
    Refused: Consequence(Performative.REFUSE, 403, 3),
    Conflict: Consequence(Performative.REFUSE, 409, 4),
    Unavailable: Consequence(Performative.FAILURE, 503, 5),
    Failed: Consequence(Performative.FAILURE, 500, 1),
    ParityError: Consequence(Performative.FAILURE, 500, 1),
}


def consequence_of(error: BaseException) -> Consequence:
    """Return the FIPA act, HTTP status and exit code of an error; a foreign error is a failure."""
    for cls in type(error).__mro__:
        if cls in _CONSEQUENCES:
            return _CONSEQUENCES[cls]
    return _CONSEQUENCES[ParityError]
