"""`python -m simulators.hub`: its options, and how it runs until it is stopped."""

from __future__ import annotations

import json
import re
import signal
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from simulators.hub.hub import HubParty, SimulatedHub
from simulators.partner.command_line import Unusable, address
from simulators.partner.ocpi_format import VERSIONS
from simulators.partner.other_platform import PlatformError
from simulators.partner.partner_settings import ROLES, PartnerSettings

HELP = (
    "Simulate an OCPI hub: platforms register with it, or it with them, and it passes on what they say to each other; simulated "
    "partners can stand behind it. Needs no database and touches none."
)
AGAIN_S = 1
PARTY = re.compile(r"([A-Z]{2})\*([A-Z0-9]{1,3})(?::(CPO|EMSP))?")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--listen", default="127.0.0.1:0", help="host:port (default: a free port, kept between runs)"
    )
    parser.add_argument(
        "--public-url", default="", help="its address as others see it (default: http://host:port)"
    )
    parser.add_argument("--state", type=Path, help="where it keeps its state (default: ./CC-PID-hub.json)")
    parser.add_argument("--own-party", default="NL*HUB", metavar="CC*PID", help="its own party")
    parser.add_argument("--name", default="Simulated Hub")
    parser.add_argument("--ocpi", choices=VERSIONS, default=VERSIONS[0], help="the version of OCPI it speaks")
    _add_platforms(parser)
    _add_behaviour(parser)


def make_hub(options: Namespace, *, folder: Path, say: Callable[[str], None]) -> SimulatedHub:
    """Not started. Raises Unusable."""
    if bool(options.register) != bool(options.token):
        raise Unusable("--register and --token go together.", is_usage=True)
    settings = _settings(options, folder, say)
    try:
        return SimulatedHub(settings, tuple(_party(text) for text in options.party))
    except OSError as error:
        raise Unusable(f"Cannot start on {options.listen}: {error}.", is_usage=False) from error
    except ValueError as error:
        raise Unusable(
            f"{settings.state_file} is not the state file of a hub: {error}.", is_usage=False
        ) from error


def run(hub: SimulatedHub, options: Namespace) -> None:
    """Until SIGTERM or Ctrl-C."""
    stop = threading.Event()
    for end in (signal.SIGTERM, signal.SIGINT):
        signal.signal(end, lambda *_: stop.set())
    with hub:
        hub.settings.say(f"Listening on {hub.versions_url}")
        for _ in range(options.invite):
            hub.settings.say(json.dumps({"versions_url": hub.versions_url, "token_a": hub.invite()}))
        said: dict[str, str] = {}
        while not stop.wait(AGAIN_S):
            _register(hub, options)
            said = say_statuses(hub, options.statuses, said)


def say_statuses(hub: SimulatedHub, file: Path | None, said: dict[str, str]) -> dict[str, str]:
    """What stands in the file of statuses now; what has changed there since `said` is said of its party."""
    try:
        now = json.loads(file.read_text()) if file else {}
        for name in {**said, **now}:
            if said.get(name) != now.get(name, ""):
                _say_status(hub, name, now.get(name, ""))
    except FileNotFoundError:
        return said
    except (ValueError, AttributeError, OSError) as error:
        hub.settings.say(f"{file}: {error}")
        return said
    return {name: str(status) for name, status in now.items()}


def _say_status(hub: SimulatedHub, name: str, status: str) -> None:
    """Of "CC*PID", or "CC*PID:ROLE" for one that nobody speaks for yet. Raises ValueError."""
    found = PARTY.fullmatch(name)
    if found is None:
        raise ValueError(f"{name} is no party: CC*PID or CC*PID:ROLE")
    hub.infos.set((found[1], found[2]), status, found[3] or "")


def _register(hub: SimulatedHub, options: Namespace) -> None:
    if not options.register:
        return
    try:
        hub.register(options.register, options.token)
    except PlatformError as failure:
        hub.settings.say(str(failure))


def _add_platforms(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--party", action="append", default=[], metavar="CC*PID[:ROLE]",
        help="a simulated partner behind the hub, as CPO, as EMSP, or as both; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--invite", action="count", default=0,
        help="print a token A and our versions URL, for a platform that registers here; as many as it is given times",
    )  # fmt: skip
    parser.add_argument(
        "--register", metavar="VERSIONS_URL", help="register the hub there at start, unless registered"
    )
    parser.add_argument("--token", metavar="TOKEN_A", help="the token A for --register")


def _add_behaviour(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--statuses", type=Path, metavar="FILE",
        help='a JSON file of what is said of parties whatever is seen of them, {"FR*SIM": "SUSPENDED"}; read again whenever it '
        "changes",
    )  # fmt: skip
    parser.add_argument(
        "--book-every", type=float, default=0, metavar="SECONDS",
        help="how often each simulated eMSP books with somebody (default: never)",
    )  # fmt: skip
    parser.add_argument(
        "--decide-after", type=float, default=8, metavar="SECONDS", help="thinking time of their slow depots"
    )


def _settings(options: Namespace, folder: Path, say: Callable[[str], None]) -> PartnerSettings:
    own = _party(options.own_party)
    return PartnerSettings(
        state_file=options.state or folder / f"{own.country_code}-{own.party_id}-hub.json",
        listen=address(options.listen),
        public_url=options.public_url,
        country_code=own.country_code,
        party_id=own.party_id,
        name=options.name,
        version=options.ocpi,
        decide_after=timedelta(seconds=options.decide_after),
        book_every=timedelta(seconds=options.book_every) if options.book_every else None,
        say=say,
    )


def _party(text: str) -> HubParty:
    """Raises Unusable."""
    found = PARTY.fullmatch(text.upper())
    if found is None:
        sentence = f"{text} is no party: two letters, *, up to three letters or digits, and :CPO or :EMSP or neither."
        raise Unusable(sentence, is_usage=True)
    return HubParty(found[1], found[2], (found[3],) if found[3] else ROLES)
