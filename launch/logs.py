"""Logs: one line of JSON each on stderr, with agent and conversation bound by who logs."""

import logging
import sys

import structlog

__all__ = ["configure_logs"]


def configure_logs(verbose: bool = False) -> None:
    """Log warnings and errors, or everything, as JSON lines; timestamps are left to the journal."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.WARNING),
        logger_factory=_Stderr,
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(name)s: %(message)s")


class _Stderr:
    """Writes to whatever stderr is now: a progress bar may stand in for it."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def msg(self, message: str) -> None:
        print(message, file=sys.stderr)

    log = debug = info = warn = warning = error = critical = exception = fatal = failure = err = msg
