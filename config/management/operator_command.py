"""What all commands for an operator have in common: a JSON object a line on standard output, and plain refusals.

A refusal is a sentence on standard error and exit code 1; wrong usage is argparse's business, exit code 2.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from psycopg.errors import UndefinedColumn, UndefinedTable

from bookings.errors import BookingError
from depots.imports.documents import FileRefusedError
from depots.operations.organisations import OrganisationError
from depots.parties import UnknownOrganisationError
from depots.periods import utc_text

REFUSALS = (BookingError, FileRefusedError, OrganisationError, UnknownOrganisationError)


class OperatorCommand(BaseCommand):
    """`handle` prints with `say`, warns with `warn` and refuses by raising CommandError or a refusal of the domain."""

    # The checks read every URL and template; a command that books a slot does not wait for that.
    requires_system_checks = ()

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            _refuse_unwritable(options)
            return super().execute(*args, **options)
        except REFUSALS as refusal:
            self._refuse(CommandError(_said(refusal)))
        except CommandError as refusal:
            self._refuse(refusal)
        except DataError as refusal:
            self._refuse(CommandError(f"The database does not take that value: {_first_line(refusal)}"))
        except IntegrityError:
            self._refuse(CommandError("Somebody changed the same thing at the same moment. Try again."))
        except ProgrammingError as failure:
            if not isinstance(failure.__cause__, UndefinedTable | UndefinedColumn):
                raise
            self._refuse(
                CommandError("The database is not prepared for this version; run manage.py migrate.")
            )
        except (OperationalError, InterfaceError) as failure:
            self._refuse(CommandError(f"The database does not answer: {_first_line(failure)}"))
        return None

    def say(self, line: Mapping[str, Any]) -> None:
        self.stdout.write(json.dumps(line))

    def warn(self, sentence: str) -> None:
        self.stderr.write(f"Warning: {sentence}")

    def _refuse(self, refusal: CommandError) -> None:
        # Django would put the error's class before the sentence; called from Python the error itself is better.
        if not getattr(self, "_called_from_command_line", False):
            raise refusal
        self.stderr.write(str(refusal))
        sys.exit(refusal.returncode)


def _refuse_unwritable(options: Mapping[str, Any]) -> None:
    """Arguments that were no UTF-8 in the shell cannot be stored or compared. Raises CommandError."""
    for name, value in options.items():
        if isinstance(value, str) and not value.isprintable():
            raise CommandError(f"--{name.replace('_', '-')} contains characters that are no text.")


def _said(refusal: Exception) -> str:
    """The refusal's own sentence, and what would have been allowed where that is known."""
    nearest = refusal.nearest if isinstance(refusal, BookingError) else None
    if nearest is None:
        return str(refusal)
    start, end = utc_text(nearest.starts_at), utc_text(nearest.ends_at)
    return f"{refusal} The nearest that would do: --start {start} --end {end}."


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
