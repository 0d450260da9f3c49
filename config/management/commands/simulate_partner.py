"""Run a partner network of its own: a real OCPI 2.3.0 platform in this process, for demos and for integrators."""

import json
import re
import signal
import threading
from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config import addresses
from simulators.partner import platform

AGAIN_S = 5


class Command(BaseCommand):
    help = (
        "Simulate a partner network: two bookable depots (one decides at once, one after a while), and trucks that "
        "now and then book with the platform it is registered with. Needs no database and touches none."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--listen", default="127.0.0.1:0", help="host:port (default: a free port, kept between runs)"
        )
        parser.add_argument(
            "--public-url", default="", help="our address as others see it (default: http://host:port)"
        )
        parser.add_argument(
            "--state", type=Path, help="where it keeps its state (default: BERTH_VAR/simulators/CC-PID.json)"
        )
        parser.add_argument("--country-code", default="FR")
        parser.add_argument("--party-id", default="SIM")
        parser.add_argument("--name", default="Simulated Charging Network")
        parser.add_argument(
            "--register", metavar="VERSIONS_URL", help="register there at start, unless registered"
        )
        parser.add_argument("--token", metavar="TOKEN_A", help="the token A for --register")
        parser.add_argument(
            "--invitation", type=Path,
            help='a file {"versions_url", "token_a"} to register with as soon as it is there '
            "(default: BERTH_VAR/simulators/invitation.json)",
        )  # fmt: skip
        parser.add_argument(
            "--invite", action="store_true", help="print a token A and our versions URL, to register here"
        )
        parser.add_argument(
            "--decide-after", type=float, default=8, metavar="SECONDS", help="thinking time of the slow depot"
        )
        parser.add_argument(
            "--book-every", type=float, default=600, metavar="SECONDS", help="book as an eMSP; 0: never"
        )
        parser.add_argument(
            "--quiet-hours", choices=["yes", "no"], default="no", help="closed from 0 to 4 h UTC"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["register"]) != bool(options["token"]):
            raise CommandError("--register and --token go together.", returncode=2)
        stop = threading.Event()
        for end in (signal.SIGTERM, signal.SIGINT):
            signal.signal(end, lambda *_: stop.set())
        with self._partner(options) as partner:
            self._say(f"Listening on {partner.versions_url}")
            if options["invite"]:
                self._say(json.dumps({"versions_url": partner.versions_url, "token_a": partner.invite()}))
            invitation = options["invitation"] or settings.BERTH_VAR / "simulators" / "invitation.json"
            while not stop.is_set():
                stop.wait(AGAIN_S if self._settle(partner, options, invitation) else AGAIN_S / 5)

    def _partner(self, options: dict[str, Any]) -> platform.SimulatedPartner:
        country, party = options["country_code"].upper(), options["party_id"].upper()
        if not re.fullmatch(r"[A-Z]{2}\*[A-Z0-9]{1,3}", f"{country}*{party}"):
            raise CommandError(
                f"{country}*{party} is no party: two letters and up to three letters or digits.", returncode=2
            )
        state = options["state"] or settings.BERTH_VAR / "simulators" / f"{country}-{party}.json"
        try:
            return platform.SimulatedPartner(
                state,
                listen=addresses.read(options["listen"]),
                public_url=options["public_url"],
                country_code=country,
                party_id=party,
                name=options["name"],
                decide_after=timedelta(seconds=options["decide_after"]),
                book_every=timedelta(seconds=options["book_every"]) if options["book_every"] else None,
                quiet_hours=options["quiet_hours"] == "yes",
                say=self._say,
            )
        except OSError as error:
            raise CommandError(f"Cannot start on {options['listen']} with {state}: {error}.") from error
        except ValueError as error:
            raise CommandError(f"{state} is not a state file of a simulated partner: {error}.") from error

    def _settle(self, partner: platform.SimulatedPartner, options: dict[str, Any], invitation: Path) -> bool:
        """Register, or tell our new address. False when to try again: the other side may still be starting."""
        try:
            if options["register"]:
                if not partner.is_registered:
                    partner.register(options["register"], options["token"])
            elif not options["invite"]:
                partner.use_invitation(invitation)
            partner.announce_address()
        except platform.CallFailed as failure:
            self._say(str(failure))
            return False
        return True

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
