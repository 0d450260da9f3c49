"""`python -m conformance`, and what `manage.py ocpi_check` shares with it."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace

from conformance import checklist, specification
from conformance.report import Report
from conformance.run import CPO, EMSP, Settings

HELP = (
    "Check an OCPI implementation with Bookings from outside: register as a partner with a server of our own, go "
    "through the checklist, cancel what was booked, and leave. Exit code 1 when a line failed."
)


# What somebody at the platform is given so many seconds for, and the lines that are judged by it. Without, nobody is asked.
WAITS = {
    "booking": ("for somebody at the platform to book with us, cancel, and book again", "72, 73, 77, 78"),
    "decision": ("for somebody there to approve, refuse and cancel what we booked", "35, 45 to 47, 54"),
    "vehicle": ("for a vehicle there to charge on a booking of ours", "56, 57, 82"),
    "no-show": ("for a booking to run out that nobody comes to; it may cost a fee", "50, 55, 84"),
    "resync": ("for somebody there to have all of our lists read anew", "28"),
}


class UnusableOptionsError(Exception):
    """Options that cannot be used, in a sentence."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--versions-url", required=True, metavar="URL", help="of the platform that is checked"
    )
    parser.add_argument(
        "--token", required=True, metavar="TOKEN_A", help="the token A it gave us; the run uses it up"
    )
    parser.add_argument(
        "--role", choices=[CPO, EMSP], help="check it in this role only (default: in all it offers)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument(
        "--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="where our server listens"
    )
    parser.add_argument(
        "--public-url", default="", metavar="URL", help="our server's address as the platform sees it"
    )
    parser.add_argument(
        "--party", default="DE*CHK", metavar="CC*PID",
        help="the party we register as (default DE*CHK; a platform that names another in its refusal gets that)",
    )  # fmt: skip
    parser.add_argument(
        "--patience", type=float, default=45.0, metavar="SECONDS", help="how long a push may take"
    )
    parser.add_argument(
        "--ocpi-version",
        choices=specification.VERSIONS,
        default="",
        help="agree on this one (default: the newest)",
    )
    parser.add_argument(
        "--place", action="append", default=[], metavar="ID", dest="places",
        help="a BookingLocation that may be booked (default: any; may be given several times)",
    )  # fmt: skip
    for name, (what, _) in WAITS.items():
        parser.add_argument(f"--wait-{name}", type=float, default=0.0, metavar="SECONDS", help=what)
    parser.add_argument(
        "--post-cdrs",
        action="store_true",
        help="post a CDR of nobody's session, and the credit that takes it back",
    )


def check(options: Namespace) -> Report:
    """Raises UnusableOptionsError."""
    party = re.fullmatch(r"([A-Z]{2})[*-]?([A-Z0-9]{3})", options.party.upper())
    if not party:
        raise UnusableOptionsError(
            f"--party: {options.party!r} is no party: two letters, * and three letters or digits."
        )
    if not re.fullmatch(r"[!-~]{1,64}", options.token):
        raise UnusableOptionsError("--token: a token is 1 to 64 printable characters without blanks.")
    host, colon, port = options.listen.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise UnusableOptionsError(f"--listen: {options.listen!r} is no address. Write host:port.")
    settings = Settings(
        versions_url=options.versions_url,
        token_a=options.token,
        roles=(options.role,) if options.role else (),
        party=(party[1], party[2]),
        patience_s=options.patience,
        wait_booking_s=options.wait_booking,
        wait_decision_s=options.wait_decision,
        wait_vehicle_s=options.wait_vehicle,
        wait_no_show_s=options.wait_no_show,
        wait_resync_s=options.wait_resync,
        posts_cdrs=options.post_cdrs,
        places=tuple(options.places),
        version=options.ocpi_version,
        say=_say,
    )
    try:
        return checklist.check(settings, listen=(host.strip("[]"), int(port)), public_url=options.public_url)
    except OSError as error:
        raise UnusableOptionsError(f"--listen: cannot listen on {options.listen}: {error}.") from error


def _say(sentence: str) -> None:
    """On standard error: the report is all that standard output gets."""
    print(sentence, file=sys.stderr, flush=True)


def written(report: Report, *, as_json: bool) -> str:
    return report.as_json() if as_json else report.as_text()
