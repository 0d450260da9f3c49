"""The conformance kit, which shares nothing with Berth, against Berth in both roles."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from conformance import checklist
from conformance.report import Report, Verdict
from conformance.run import Settings
from tests.scenarios.outside.berth import Berth, Slot
from tests.scenarios.outside.charger import Charger, Charger16
from tests.scenarios.outside.fixtures import next_party
from tests.scenarios.outside.reservations import online
from tests.scenarios.outside.waiting import eventually

# What no run can judge: computed inside, a party that only a hub has.
NEVER = {81: "is computed inside", 90: "needs a hub between the platform and us"}
# What its places or the hour may not allow: a slot that can be cancelled and not changed any more, a pool of EVSEs.
NOT_EVERYWHERE = {48, 58}
# What needs somebody there, or time, and by which option.
WITH_SOMEBODY = {
    28: "--wait-resync", **dict.fromkeys((35, 45, 46, 47, 54), "--wait-decision"),
    **dict.fromkeys((50, 55, 84), "--wait-no-show"), **dict.fromkeys((56, 57, 82), "--wait-vehicle"),
    **dict.fromkeys((72, 73, 77, 78), "--wait-booking"), **dict.fromkeys((85, 86), "--post-cdrs"),
}  # fmt: skip


@dataclass
class Somebody:
    """At Berth, who does what a run asks for: an operator's command each, and a vehicle at a charger."""

    berth: Berth
    party: str
    charger: Charger16
    asked: list[str] = field(default_factory=list)
    _booked: list[dict[str, Any]] = field(default_factory=list)

    def hear(self, sentence: str) -> None:
        self.asked.append(sentence)
        for words, does in (
            (r"approve .*booking (\S+) at", self._decide("--accept")),
            (r"refuse .*booking (\S+) at", self._decide("--decline")),
            (r"cancel booking (\S+) at", self._cancel_there),
            (r"(book) at", self._book),
            (r"(cancel) what was booked", self._cancel),
            (r"connect a vehicle at .*, EVSE (\S+)", self._charge),
            (r"all of our lists (read) anew", self._read_anew),
        ):
            if found := re.search(words, sentence):
                does(found[1])
                return

    def _decide(self, how: str) -> Callable[[str], object]:
        return lambda booking: self.berth.run("decide", booking, how).one

    def _cancel_there(self, booking: str) -> None:
        self.berth.run("cancel_booking", booking, "--by", "depot", "--reason", "BROKEN_CHARGER").one  # noqa: B018

    def _book(self, _: str) -> None:
        """Once Berth has read what the kit offers; each at another hour."""
        day = (datetime.now(UTC) + timedelta(days=3)).replace(minute=0, second=0, microsecond=0)
        start = day + timedelta(hours=2 * len(self._booked))
        slot = Slot.between(start, start + timedelta(hours=1))
        offer = f"{self.party}-BL1"
        words = (
            "book",
            "--vehicle",
            "HH-NF 100",
            "--option",
            offer,
            "--start",
            slot.start,
            "--end",
            slot.end,
        )
        self._booked += eventually(lambda: self.berth.run(*words).objects, of="the kit's offer", within_s=60)

    def _cancel(self, _: str) -> None:
        self.berth.until(self._booked[0], status="confirmed")
        self.berth.cancel(self._booked[0])

    def _charge(self, evse: str) -> None:
        asked = self.charger.asked_for("RemoteStartTransaction")
        self.charger.status(asked["connectorId"], "Preparing")
        begun = self.charger.start(asked["connectorId"], asked["idTag"])
        self.charger.status(asked["connectorId"], "Charging")
        self.charger.answers["RemoteStopTransaction"] = lambda _: self._leave(asked, begun)

    def _leave(self, asked: dict[str, Any], begun: dict[str, Any]) -> dict[str, str]:
        Thread(target=self._stop, args=(asked, begun)).start()
        return {"status": "Accepted"}

    def _stop(self, asked: dict[str, Any], begun: dict[str, Any]) -> None:
        self.charger.stop(begun["transactionId"], asked["idTag"], meter=1020)
        self.charger.status(asked["connectorId"], "Available")

    def _read_anew(self, _: str) -> None:
        self.berth.run("resync", f"SE*{self.party}").one  # noqa: B018


@pytest.fixture
def somebody(berth: Berth, shared_folder: Path, charger_of: Callable[[str], Charger]) -> Somebody:
    charger = charger_of("1.6")
    assert isinstance(charger, Charger16)
    return Somebody(berth, next_party(shared_folder), charger)


def checked(somebody: Somebody, **options: Any) -> Report:
    """A run at Berth, as a partner it has just invited; nothing failed, and every line is told of."""
    party, berth = somebody.party, somebody.berth
    invited = berth.run(
        "add_partner", "--name", f"Kit {party}", "--country-code", "SE", "--party-id", party, "--role", "EMSP"
    ).one
    settings = Settings(
        invited["versions_url"], invited["token_a"], roles=(), party=("SE", party), patience_s=60,
        say=somebody.hear, **options,
    )  # fmt: skip

    report = checklist.check(settings, listen=("127.0.0.1", 0))

    assert [str(one) for one in report.findings if one.verdict == Verdict.FAIL] == []
    assert [one.line for one in report.findings] == list(range(1, 91))
    assert report.roles == ("CPO", "EMSP")
    return report


def skipped(report: Report) -> dict[int, str]:
    return {one.line: one.reason for one in report.findings if one.verdict == Verdict.SKIP}


def test_no_line_of_the_checklist_fails_at_berth_in_either_role(somebody: Somebody) -> None:
    """Checklist 1 to 90, as far as they show outside and somebody at Berth books, decides and has lists read anew."""
    report = checked(somebody, wait_booking_s=60, wait_decision_s=60, wait_resync_s=60, posts_cdrs=True)

    told = skipped(report)
    needs_more = {
        line: option
        for line, option in WITH_SOMEBODY.items()
        if option in ("--wait-vehicle", "--wait-no-show")
    }
    assert set(told) == {*NEVER, *needs_more}, told
    assert {line: told[line] for line in NEVER} == NEVER
    assert [line for line, option in needs_more.items() if option not in told[line]] == []
    assert report.version == "2.3.0"


@pytest.mark.long
@pytest.mark.parametrize("version", ["2.3.0", "2.2.1"])
def test_nothing_that_shows_outside_is_left_unjudged(
    somebody: Somebody, charger_of: Callable[[str], Charger], version: str
) -> None:
    """Checklist 1 to 90: a vehicle charges on the kit's booking at one charger, and nobody comes to another."""
    online(somebody.charger)
    online(charger_of("2.0.1"))

    report = checked(
        somebody, wait_booking_s=120, wait_decision_s=120, wait_resync_s=120, wait_vehicle_s=240,
        wait_no_show_s=600, posts_cdrs=True, places=("DEMO-1-1", "DEMO-2-1", "LNZ-1-1"), version=version,
    )  # fmt: skip

    assert set(skipped(report)) - NOT_EVERYWHERE == set(NEVER), skipped(report)
    assert report.version == version


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
