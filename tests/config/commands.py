"""Running an operator's command in this process: what it printed, or the sentence with which it refused."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError


def run(name: str, *arguments: Any) -> list[dict[str, Any]]:
    """The JSON objects on standard output. Raises CommandError for a refusal."""
    out = StringIO()
    call_command(name, *[str(argument) for argument in arguments], stdout=out, stderr=StringIO())
    return [json.loads(line) for line in out.getvalue().splitlines()]


def warnings(name: str, *arguments: Any) -> list[str]:
    """The lines on standard error of a command that worked."""
    err = StringIO()
    call_command(name, *[str(argument) for argument in arguments], stdout=StringIO(), stderr=err)
    return err.getvalue().splitlines()


def refusal(name: str, *arguments: Any) -> str:
    """The sentence with which it refuses. Fails when it does not."""
    try:
        printed = run(name, *arguments)
    except CommandError as error:
        return str(error)
    raise AssertionError(f"{name} did not refuse but printed {printed}")
