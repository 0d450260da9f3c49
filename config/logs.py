"""What is logged, how a line looks, and where it goes.

A command that prints a result (JSON lines) keeps standard output for it and logs to standard error; a process that
runs until it is stopped logs to standard output (`to_stdout`).
"""

import logging
import re
import sys
from typing import Any

import structlog
from structlog.typing import EventDict

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

# What steers a terminal, ends a line, or has no UTF-8; the renderer sees to line feeds itself.
_UNPRINTABLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

_LOGGERS = {
    "django": {"handlers": [], "level": "INFO", "propagate": True},
    "django.server": {"handlers": [], "level": "INFO", "propagate": True},
    "django.db.backends": {"level": "INFO"},
    # These log every frame, call or file at INFO, id tokens included.
    "ocpp": {"level": "WARNING"},
    "httpx": {"level": "WARNING"},
    "httpcore": {"level": "WARNING"},
    "factur-x": {"level": "WARNING"},
    "axes": {"level": "ERROR"},
    # Scanners knock under any name; each gets its 400, not a traceback in the log.
    "django.security.DisallowedHost": {"level": "CRITICAL"},
    "uvicorn": {"level": "WARNING"},
    "psycopg.pool": {"level": "ERROR"},
}


def configuration(*, debug: bool) -> dict[str, Any]:
    """The LOGGING setting, for the standard library's loggers and structlog's alike."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": _formatter()},
        "handlers": {"line": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["line"], "level": "INFO"},
        "loggers": {**_LOGGERS, "config": {"level": "DEBUG" if debug else "INFO"}},
    }


def _formatter() -> dict[str, Any]:
    return {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [*_SHARED, structlog.stdlib.ExtraAdder()],
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendered()],
    }


def _rendered() -> list[Any]:
    """For a person at a terminal in colour with tracebacks; for everything else one line of key=value an event."""
    if sys.stderr.isatty():
        return [_escape_unprintable, structlog.dev.ConsoleRenderer()]
    return [
        structlog.processors.format_exc_info,
        _escape_unprintable,
        structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "logger", "event"]),
    ]


def _escape_unprintable(_logger: Any, _name: str, event: EventDict) -> EventDict:
    """Strangers choose paths, names and reasons: an escape sequence among them is text, not a command."""
    return {name: _escaped(value) if isinstance(value, str) else value for name, value in event.items()}


def _escaped(text: str) -> str:
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def to_stdout() -> None:
    """Send the log to standard output from here on, for a process that has no other result."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
            handler.setStream(sys.stdout)
