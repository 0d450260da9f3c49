"""A line of the log is one line of text, whatever a stranger had written into it."""

import io
import logging

import pytest
import structlog

from config import logs


@pytest.mark.parametrize("odd", ["\x1b[31m", "\r", "\x00", "\x9b", "\ud800"])
def test_what_a_stranger_sends_does_not_steer_a_terminal(odd: str) -> None:
    line = _line_of(path=f"/ocpi/{odd}/ä")

    assert odd not in line
    assert "/ocpi/\\" in line
    assert "/ä" in line
    line.encode()


def _line_of(**told: str) -> str:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    formatter = logs.configuration(debug=False)["formatters"]["line"]
    handler.setFormatter(formatter.pop("()")(**formatter))
    logger = logging.getLogger("config.test_logs")
    logger.addHandler(handler)
    try:
        structlog.get_logger("config.test_logs").warning("asked", **told)
    finally:
        logger.removeHandler(handler)
    return written.getvalue()
