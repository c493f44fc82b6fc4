"""How a command ends when something goes wrong: a message on stderr, and an exit code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

__all__ = ["INTERRUPTED", "errors", "fail"]

INTERRUPTED = 130


@contextmanager
def errors() -> Iterator[None]:
    """Turn our errors into a message and their exit code."""
    from ontology.errors import InvalidInput, ParityError, consequence_of

    try:
        yield
    except KeyboardInterrupt:
        fail("interrupted", INTERRUPTED)
    except InvalidInput as error:
        from launch.console import problem_lines

        fail("\n".join(problem_lines(error)), consequence_of(error).exit_code)
    except ParityError as error:
        fail(f"{type(error).__name__}: {error}", consequence_of(error).exit_code)


def fail(message: str, code: int) -> NoReturn:
    """Print a message on stderr and end with a code."""
    print(message, file=sys.stderr)
    raise SystemExit(code)
