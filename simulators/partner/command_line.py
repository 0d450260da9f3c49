"""`python -m simulators.partner`, and what `manage.py simulate_partner` shares with it."""

from __future__ import annotations

import json
import re
import signal
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from simulators.partner.ocpi_format import VERSIONS
from simulators.partner.other_platform import PlatformError
from simulators.partner.partner_settings import ROLES, PartnerSettings
from simulators.partner.platform import SimulatedPartner
from simulators.partner.sandbox import Sandbox

HELP = (
    "Simulate a partner network: three bookable depots (two decide at once, one after a while), and trucks that "
    "now and then book with the platform it is registered with. Needs no database and touches none."
)
AGAIN_S = 5


class Unusable(Exception):
    """Options that cannot be used, in a sentence; `is_usage` where they were wrong by themselves."""

    def __init__(self, message: str, *, is_usage: bool) -> None:
        super().__init__(message)
        self.is_usage = is_usage


def add_arguments(parser: ArgumentParser, *, folder: str) -> None:
    """`folder` says in words where its files are by default."""
    _add_identity(parser, folder)
    _add_registration(parser, folder)
    _add_behaviour(parser)


def make_partner(options: Namespace, *, folder: Path, say: Callable[[str], None]) -> SimulatedPartner:
    """Not started. Raises Unusable."""
    if bool(options.register) != bool(options.token):
        raise Unusable("--register and --token go together.", is_usage=True)
    settings = _settings(options, folder, say)
    state = settings.state_file
    try:
        return SimulatedPartner(settings)
    except OSError as error:
        raise Unusable(f"Cannot start on {options.listen} with {state}: {error}.", is_usage=False) from error
    except ValueError as error:
        raise Unusable(
            f"{state} is not a state file of a simulated partner: {error}.", is_usage=False
        ) from error


def run(partner: SimulatedPartner, options: Namespace, *, folder: Path) -> None:
    """Until SIGTERM or Ctrl-C."""
    stop = threading.Event()
    for end in (signal.SIGTERM, signal.SIGINT):
        signal.signal(end, lambda *_: stop.set())
    with partner:
        partner.settings.say(f"Listening on {partner.versions_url}")
        if options.invite:
            invitation = {"versions_url": partner.versions_url, "token_a": partner.registration.invite()}
            partner.settings.say(json.dumps(invitation))
        file = options.invitation or folder / "invitation.json"
        sandbox = Sandbox(partner.settings, options.sandbox or folder / "sandbox.json")
        while not stop.is_set():
            are_settled = [_settle(partner, options, file), sandbox.settle()]
            stop.wait(AGAIN_S if all(are_settled) else AGAIN_S / 5)
        sandbox.stop()


def _add_identity(parser: ArgumentParser, folder: str) -> None:
    parser.add_argument(
        "--listen", default="127.0.0.1:0", help="host:port (default: a free port, kept between runs)"
    )
    parser.add_argument(
        "--public-url", default="", help="our address as others see it (default: http://host:port)"
    )
    parser.add_argument(
        "--state", type=Path, help=f"where it keeps its state (default: {folder}/CC-PID.json)"
    )
    parser.add_argument("--country-code", default="FR")
    parser.add_argument("--party-id", default="SIM")
    parser.add_argument("--name", default="Simulated Charging Network")
    parser.add_argument("--role", choices=ROLES, help="in which role alone (default: both)")
    parser.add_argument("--behind-hub", action="store_true", help="it is to register with a hub")
    parser.add_argument("--ocpi", choices=VERSIONS, default=VERSIONS[0], help="the version of OCPI it speaks")


def _add_registration(parser: ArgumentParser, folder: str) -> None:
    parser.add_argument(
        "--register", metavar="VERSIONS_URL", help="register there at start, unless registered"
    )
    parser.add_argument("--token", metavar="TOKEN_A", help="the token A for --register")
    parser.add_argument(
        "--invitation", type=Path,
        help='a file {"versions_url", "token_a"} to register with as soon as it is there '
        f"(default: {folder}/invitation.json)",
    )  # fmt: skip
    parser.add_argument(
        "--sandbox", type=Path,
        help="a file that begins a second network beside this one as soon as it is there, as the page about partners of a demo "
        f"writes it (default: {folder}/sandbox.json)",
    )  # fmt: skip
    parser.add_argument(
        "--invite", action="store_true", help="print a token A and our versions URL, to register here"
    )


def _add_behaviour(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--decide-after", type=float, default=8, metavar="SECONDS", help="thinking time of the slow depot"
    )
    parser.add_argument(
        "--book-every", type=float, default=600, metavar="SECONDS", help="book as an eMSP; 0: never"
    )
    parser.add_argument("--quiet-hours", choices=["yes", "no"], default="no", help="closed from 0 to 4 h UTC")


def _settings(options: Namespace, folder: Path, say: Callable[[str], None]) -> PartnerSettings:
    country, party = options.country_code.upper(), options.party_id.upper()
    if not re.fullmatch(r"[A-Z]{2}\*[A-Z0-9]{1,3}", f"{country}*{party}"):
        sentence = f"{country}*{party} is no party: two letters and up to three letters or digits."
        raise Unusable(sentence, is_usage=True)
    return PartnerSettings(
        state_file=options.state or folder / f"{country}-{party}.json",
        listen=address(options.listen),
        public_url=options.public_url,
        country_code=country,
        party_id=party,
        name=options.name,
        version=options.ocpi,
        roles=(options.role,) if options.role else ROLES,
        is_behind_hub=options.behind_hub,
        decide_after=timedelta(seconds=options.decide_after),
        book_every=timedelta(seconds=options.book_every) if options.book_every else None,
        quiet_hours=options.quiet_hours == "yes",
        say=say,
    )


def address(text: str) -> tuple[str, int]:
    """`host:port`, an IPv6 host in brackets. Raises Unusable."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise Unusable(f"{text!r} is not an address. Write host:port.", is_usage=True)
    return host.strip("[]") or "127.0.0.1", int(port)


def _settle(partner: SimulatedPartner, options: Namespace, invitation: Path) -> bool:
    """Register, or tell our new address. False when to try again: the other side may still be starting."""
    registration = partner.registration
    try:
        if options.register:
            if not partner.peer.is_registered:
                registration.register(options.register, options.token)
        elif not options.invite:
            registration.use_invitation(invitation)
        registration.announce_address()
    except PlatformError as failure:
        partner.settings.say(str(failure))
        return False
    return True
