"""`simulators.partner` with its files in this installation's BERTH_VAR."""

from argparse import ArgumentParser, Namespace
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from simulators.partner import command_line


class Command(BaseCommand):
    help = command_line.HELP
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        command_line.add_arguments(parser, folder="BERTH_VAR/simulators")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen, folder = Namespace(**options), settings.BERTH_VAR / "simulators"
        try:
            partner = command_line.make_partner(chosen, folder=folder, say=self._say)
        except command_line.Unusable as error:
            raise CommandError(str(error), returncode=2 if error.is_usage else 1) from error
        command_line.run(partner, chosen, folder=folder)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
