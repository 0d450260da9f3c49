"""The authorities whose contract certificates an operator's chargers take (Plug & Charge)."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from config.management.operator_command import OperatorCommand
from depots.models import TrustedRoot
from depots.operations.trusted_roots import LARGEST_FILE, NotARoot, distrust_root, trust_root
from depots.parties import organisation_called
from depots.periods import utc_text


class Command(OperatorCommand):
    help = "Trust a V2G or mobility operator's root certificate; without a file, list those that are trusted."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the certificate, PEM")
        parser.add_argument(
            "--operator", required=True, metavar="O", help="name or party of a depot operator"
        )
        parser.add_argument(
            "--remove", metavar="FINGERPRINT", help="trust it no more (the first 8 digits or more)"
        )

    def handle(
        self, *args: Any, file: Path | None, operator: str, remove: str | None, **options: Any
    ) -> None:
        kept_by = organisation_called(operator)
        try:
            if remove is not None:
                self._say(distrust_root(operator=kept_by, fingerprint=remove), removed=True)
            elif file is not None:
                root, is_new = trust_root(operator=kept_by, pem=_read(file), now=timezone.now())
                self._say(root, created=is_new)
            else:
                for root in kept_by.trusted_roots.all():
                    self._say(root)
        except NotARoot as refusal:
            raise CommandError(str(refusal)) from None

    def _say(self, root: TrustedRoot, **more: bool) -> None:
        told = {"operator": root.operator.name, "name": root.name, "fingerprint": root.fingerprint}
        self.say({**told, "valid_until": utc_text(root.not_after), **more})


def _read(file: Path) -> str:
    try:
        return file.read_bytes()[:LARGEST_FILE].decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {error}.") from None
