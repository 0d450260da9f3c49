"""All of Berth on this machine: migrate, load the demo data, run one of each process, and say where to look."""

import os
import signal
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from config import addresses, logs
from config.demo_data.demo_depots import DEMO_PASSWORDS
from config.demo_data.refusal import refuse_in_production
from config.embedded import postgres
from config.supervisor import Program, Supervisor
from depots.models import Charger
from depots.secrets import charger_password_matches

CORE = ("serve", "worker", "ocpp_gateway")
LOGINS = (
    ("dispatcher@nordfracht.example", "dispatcher of the fleet Nordfracht"),
    ("manager@nordfracht.example", "depot manager of Nordfracht"),
    ("dispatcher@alpentrans.example", "dispatcher of the fleet Alpentrans"),
    ("dispatcher@baltcargo.example", "dispatcher of the fleet Baltcargo"),
    ("manager@ladepark.example", "depot manager of Ladepark"),
    ("accountant@nordfracht.example", "accountant of Nordfracht, fleet and depots"),
    ("accountant@ladepark.example", "accountant of the depot operator Ladepark"),
    ("accountant@alpentrans.example", "accountant of the fleet Alpentrans"),
    ("viewer@nordfracht.example", "may look, at Nordfracht"),
    ("admin@berth.example", "administrator"),
)
PASSWORD = "berth-demo"  # noqa: S105 - printed below for everybody


class Command(BaseCommand):
    _is_running = False
    help = "Run Berth with demo data and simulated chargers and partner until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--only", help=f"start a subset of {','.join(CORE)}, without simulators")
        parser.add_argument("--no-chargers", action="store_true", help="without the simulated chargers")
        parser.add_argument("--no-partner", action="store_true", help="without the simulated partner network")

    def handle(self, *args: Any, **options: Any) -> None:
        logs.to_stdout()
        names = _chosen(options["only"])
        refuse_in_production()
        # In the demo the partner is a process of this machine, over plain http.
        os.environ.setdefault("BERTH_ALLOW_PRIVATE_PARTNERS", "1")
        os.environ.setdefault("BERTH_BOOKINGS_UNDER_2_2_1", "1")
        settings.BERTH_ALLOW_PRIVATE_PARTNERS = settings.BERTH_BOOKINGS_UNDER_2_2_1 = True
        self._supervisor = Supervisor(settings.BERTH_VAR / "run")
        _refuse_taken_addresses(names)
        for end in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(end, self._on_signal)
        try:
            self._prepare()
            self._run(names, peers=_peers(options))
        except _StoppedEarly:
            pass
        except TimeoutError as error:
            raise CommandError(str(error)) from error
        finally:
            self._supervisor.end()
            connections.close_all()
            postgres.leave_all()
        self._say("Stopped")

    def _prepare(self) -> None:
        self._say("Preparing the database")
        settings.DEMO_SIGN.parent.mkdir(parents=True, exist_ok=True)
        settings.DEMO_SIGN.touch()
        call_command("migrate", verbosity=0, interactive=False)
        _refuse_another_key()
        self._say("Loading the demo data")
        call_command("load_demo", stdout=self.stdout)

    def _run(self, names: list[str], peers: list[str]) -> None:
        self._say(f"Starting {', '.join([*names, *peers])}")
        self._is_running = True
        self._supervisor.start([Program.of_berth(name, _answers_at(name)) for name in names])
        self._supervisor.start([Program.of_berth(name) for name in peers])
        if not self._supervisor.is_stopping:
            self._greet(names)
        self._supervisor.watch()

    def _on_signal(self, *_: Any) -> None:
        # While programs run they are ended in order; before, there is only our own work to drop.
        if not self._is_running:
            raise _StoppedEarly
        self._supervisor.stop()

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()

    def _greet(self, names: list[str]) -> None:
        lines = ["", f"Berth is ready: {settings.BERTH_BASE_URL}/"]
        if "ocpp_gateway" in names:
            lines += [
                f"  chargers connect to  {scheme}://{at}/ocpp/<identity>" for scheme, at in ocpp_addresses()
            ]
        if "serve" in names:
            lines.append(f"  partners connect to  {settings.BERTH_BASE_URL}/ocpi/versions")
            lines.append(f"  sign in with the password {PASSWORD} as")
            lines += [f"    {email:<32} {who}" for email, who in LOGINS]
        self._say("\n".join([*lines, "  Ctrl-C stops everything; the data stays for the next start", ""]))


def _chosen(only: str | None) -> list[str]:
    names = [name.strip() for name in only.split(",") if name.strip()] if only else list(CORE)
    unknown = [name for name in names if name not in CORE]
    if unknown:
        raise CommandError(f"--only knows {', '.join(CORE)}, not {', '.join(unknown)}.", returncode=2)
    return names


def _peers(options: dict[str, Any]) -> list[str]:
    if options["only"]:
        return []
    wanted = (
        ("simulate_partner", not options["no_partner"]),
        ("simulate_chargers", not options["no_chargers"]),
    )
    return [name for name, is_wanted in wanted if is_wanted]


def _answers_at(name: str) -> str | None:
    addresses_of = {
        "serve": f"http://{addresses.reachable(settings.BERTH_HTTP)}/readyz",
        "ocpp_gateway": f"tcp://{addresses.reachable(settings.BERTH_OCPP)}",
    }
    return addresses_of.get(name)


def ocpp_addresses() -> list[tuple[str, str]]:
    """(ws or wss, host:port) of each that chargers may connect to."""
    is_tls = settings.BERTH_OCPP_TLS_CERT and not settings.BERTH_OCPP_TLS
    beside = [("wss", settings.BERTH_OCPP_TLS)] if settings.BERTH_OCPP_TLS else []
    return [("wss" if is_tls else "ws", settings.BERTH_OCPP), *beside]


def _refuse_another_key() -> None:
    """Raises CommandError where the data were made under another key: nothing that they keep secret would open."""
    charger = Charger.objects.filter(identity="DEMO-1").first()
    if charger is None or charger_password_matches(
        DEMO_PASSWORDS["DEMO-1"], salt=charger.password_salt, hashed=charger.password_hash
    ):
        return
    kept_in = " and ".join(
        sorted({str(settings.BERTH_VAR), str(postgres.EmbeddedServer(settings.BERTH_VAR).home)})
    )
    raise CommandError(
        "The demo's data were made under another key. Set the BERTH_SECRET_KEY they were made with, or remove "
        f"{kept_in} for a fresh demo."
    )


def _refuse_taken_addresses(names: list[str]) -> None:
    chargers = [("ocpp_gateway", address) for _, address in ocpp_addresses()]
    for name, address in [("serve", settings.BERTH_HTTP), *chargers]:
        if name in names:
            addresses.listen(address).close()


class _StoppedEarly(BaseException):
    """Asked to end while the database was being prepared."""
