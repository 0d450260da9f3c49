"""`simulators.charger` with the gateway and the file of this installation as its defaults."""

from argparse import ArgumentParser, Namespace
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config import addresses, logs
from simulators.charger import command_line
from simulators.charger.charger_file import UnreadableFile


class Command(BaseCommand):
    help = "Simulate chargers over OCPP until SIGTERM: those of a file, one, a crowd, or a scripted day. Needs no database."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        command_line.add_arguments(
            parser, url="that of BERTH_OCPP", file="BERTH_VAR/simulators/chargers.json"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        logs.to_stdout()
        is_tls = settings.BERTH_OCPP_TLS_CERT and not settings.BERTH_OCPP_TLS
        url = f"{'wss' if is_tls else 'ws'}://{addresses.reachable(settings.BERTH_OCPP)}/ocpp"
        file = settings.BERTH_VAR / "simulators" / "chargers.json"
        told = Namespace(**options)
        try:
            if told.script:
                command_line.run_script(told, url=url)
                return
            chargers = command_line.chargers(told, url=url, file=file)
        except UnreadableFile as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Simulating {len(chargers)} chargers at {chargers[0].url if chargers else url}")
        self.stdout.flush()
        command_line.run(chargers, told)
