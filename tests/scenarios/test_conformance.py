"""The conformance kit, which shares nothing with Berth, against Berth in both roles."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from conformance import checklist
from conformance.report import Report, Verdict
from conformance.run import Settings
from tests.scenarios.outside.berth import Berth, Slot
from tests.scenarios.outside.fixtures import next_party
from tests.scenarios.outside.waiting import eventually

# Lines of the checklist that are about Bookings and can be judged from outside (docs/integrators/conformance.md).
OF_A_CPO = {*range(30, 35), *range(36, 45), 49, 51, 52, 53, *range(58, 64)}
OF_AN_EMSP = {*range(64, 72), *range(74, 79)}


def test_no_line_of_the_checklist_fails_at_berth_in_either_role(berth: Berth, shared_folder: Path) -> None:
    """Checklist 1 to 90, as far as they show outside. Meanwhile a dispatcher books at the kit's depot, and cancels."""
    party = next_party(shared_folder)
    invited = berth.run(
        "add_partner", "--name", f"Kit {party}", "--country-code", "SE", "--party-id", party, "--role", "EMSP"
    ).one
    settings = Settings(
        invited["versions_url"],
        invited["token_a"],
        roles=(),
        party=("SE", party),
        patience_s=60,
        wait_booking_s=60,
    )

    with ThreadPoolExecutor(1) as threads:
        run = threads.submit(checklist.check, settings, listen=("127.0.0.1", 0))
        _book_and_cancel(berth, f"{party}-BL1", run)
    report = run.result()

    assert [str(one) for one in report.findings if one.verdict == Verdict.FAIL] == []
    judged = {one.line for one in report.findings if one.verdict == Verdict.OK}
    assert judged >= OF_A_CPO | OF_AN_EMSP, [
        str(one) for one in report.findings if one.verdict == Verdict.SKIP
    ]
    assert [one.line for one in report.findings] == list(range(1, 91))
    assert (report.roles, report.version) == (("CPO", "EMSP"), "2.3.0")


def _book_and_cancel(berth: Berth, offer: str, run: Future[Report]) -> None:
    """As soon as Berth has read what the kit offers."""
    start = (datetime.now(UTC) + timedelta(days=3)).replace(minute=0, second=0, microsecond=0)
    slot = Slot.between(start, start + timedelta(hours=1))

    def book() -> Any:
        said = berth.run(
            "book", "--vehicle", "HH-NF 100", "--option", offer, "--start", slot.start, "--end", slot.end
        )
        return said.objects or run.done()

    booked = eventually(book, of="the kit's offer", within_s=60)
    if isinstance(booked, list):
        berth.until(booked[0], status="confirmed")
        berth.cancel(booked[0])


def test_the_command_says_that_a_platform_does_not_let_it_in(berth: Berth) -> None:
    said = berth.run(
        "ocpi_check", "--versions-url", f"{berth.url}/ocpi/versions", "--token", "not-one-of-yours", "--json"
    )

    (report,) = said.objects
    assert said.code == 1
    assert report["passed"] == 0
    assert [one["line"] for one in report["checks"] if one["verdict"] == "FAIL"] == [1]
    assert "HTTP 401" in report["checks"][0]["reason"]
    assert len(report["checks"]) == 90
