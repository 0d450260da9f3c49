"""One run of the checklist: what is known of the platform that is checked, and what was judged so far."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from conformance import specification
from conformance.listener import Call, Listener
from conformance.report import Finding, Verdict
from conformance.wire import Answer, Caller, Json, NoAnswer, Party, read_time, time_text

Check = Callable[["Run"], str | None]
CPO, EMSP = "CPO", "EMSP"


class Fault(Exception):
    """The platform did otherwise than the checklist says."""


class Skipped(Exception):
    """This cannot be judged from outside, or not here; `str()` says why."""


@dataclass(frozen=True)
class Line:
    """A line of the checklist and how it is judged. `role` is whose line it is, empty where both have it."""

    number: int
    title: str
    check: Check
    role: str = ""


@dataclass(frozen=True)
class Settings:
    versions_url: str
    token_a: str
    roles: tuple[str, ...]  # of the platform that is checked; empty: whatever it offers
    party: Party
    patience_s: float = 45.0  # how long a push may take
    # How long somebody at the other side is given to do what the run asks for; 0: nobody is asked, and the lines skip.
    wait_booking_s: float = 0.0  # to book with us, and cancel
    wait_decision_s: float = 0.0  # to approve, refuse and cancel what we booked
    wait_vehicle_s: float = 0.0  # to have a vehicle charge on a booking of ours
    wait_resync_s: float = 0.0  # to have all of our lists read anew
    wait_no_show_s: float = 0.0  # until a booking that nobody comes to has run out
    posts_cdrs: bool = False  # a record, and the credit that takes it back
    places: tuple[str, ...] = ()  # ids of the BookingLocations that may be booked; empty: any
    version: str = ""  # empty: the newest that both speak
    say: Callable[[str], None] = lambda _: None  # what somebody is asked to do, in a sentence


@dataclass
class Run:
    """`caller` and `listener` are ours; the rest is the platform's, as it told us."""

    settings: Settings
    caller: Caller
    listener: Listener
    roles: tuple[str, ...] = ()
    version: str = ""
    version_urls: dict[str, str] = field(default_factory=dict)
    endpoints: dict[tuple[str, str], str] = field(
        default_factory=dict
    )  # (identifier in lower case, role) → url
    parties: list[tuple[str, str, str]] = field(default_factory=list)  # role, country code, party id
    is_registered: bool = False
    findings: dict[int, Finding] = field(default_factory=dict)
    booked: list[Json] = field(default_factory=list)  # every BookingRequest of ours, for the end
    places: list[Json] = field(default_factory=list)
    place: Json = None  # a BookingLocation of one EVSE that is booked at once
    noted: dict[str, Any] = field(default_factory=dict)  # what one check leaves for another

    # Judging

    def judge(self, line: Line) -> None:
        """Carry out one check, unless another has judged the line already."""
        if line.number in self.findings:
            return
        try:
            detail = line.check(self)
        except Skipped as reason:
            self._find(line, Verdict.SKIP, str(reason))
        except (Fault, NoAnswer) as reason:
            self._find(line, Verdict.FAIL, str(reason))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            # Something came in a shape that even the schema of the check did not foresee.
            self._find(line, Verdict.FAIL, f"an answer cannot be read ({type(error).__name__}: {error})")
        else:
            self._find(line, Verdict.OK, detail or "")

    def skip(self, line: Line, reason: str) -> None:
        if line.number not in self.findings:
            self._find(line, Verdict.SKIP, reason)

    def _find(self, line: Line, verdict: Verdict, reason: str) -> None:
        self.findings[line.number] = Finding(line.number, line.title, verdict, reason)

    # Asking

    @property
    def bookings_url(self) -> str:
        return self.endpoint("booking", "SENDER")

    @property
    def receiver_url(self) -> str:
        """Of the Booking module, for what we send as CPO."""
        return self.endpoint("booking", "RECEIVER")

    @property
    def extends(self) -> bool:
        """Is Bookings spoken under a version that does not know it, with the objects of a later one?"""
        return self.version != specification.VERSIONS[0]

    def endpoint(self, identifier: str, role: str) -> str:
        """Raises Skipped where the platform does not list it."""
        url = self.endpoints.get((identifier, role)) or self.endpoints.get((f"{identifier}s", role))
        if not url:
            raise Skipped(f"no {identifier} {role} is listed")
        return url.rstrip("/")

    def success(self, answer: Answer) -> Json:
        """The data of an answer that is a success. Raises Fault."""
        if not answer.is_success:
            raise Fault(str(answer))
        return answer.data

    def get(self, url: str, **more: Any) -> Json:
        return self.success(self.caller.send("GET", url, **more))

    def list(self, url: str, **more: Any) -> list[Json]:
        """Every object of a list."""
        found: list[Json] = []
        for answer in self.caller.pages(url, **more):
            found += self.success(answer)
        return found

    def refused(self, answer: Answer, *codes: int, http: tuple[int, ...] = (200,)) -> None:
        """Raises Fault unless the answer is this refusal."""
        if answer.status not in http or answer.code not in codes:
            wanted = f"HTTP {' or '.join(map(str, http))} and {' or '.join(map(str, codes))}"
            raise Fault(f"{answer}; {wanted} is right")

    def conforms(self, name: str, value: Json, **more: Any) -> None:
        """Raises Fault naming the first fields that are wrong."""
        found = specification.faults(name, value, self.version, with_newer=self.extends, **more)
        if found:
            raise Fault(f"{name}: " + "; ".join(found[:3]))

    def have_done(
        self, what: str, is_it: Callable[[Call], bool], *, within_s: float, mark: int | None = None
    ) -> Call:
        """Ask somebody at the other side, unless it is done already, and wait for the call that shows it. Raises Skipped."""
        mark = self.listener.mark if mark is None else mark
        found = self.listener.wait(is_it, mark=mark, within_s=0)
        if found is None:
            self.settings.say(f"Within {within_s:.0f} s: {what}.")
            found = self.listener.wait(is_it, mark=mark, within_s=within_s)
        if found is None:
            raise Skipped(f"nobody did this within {within_s:.0f} s: {what}")
        return found

    # Booking with a CPO

    @property
    def second_party(self) -> Party:
        """An eMSP of ours beside the first."""
        country, party = self.settings.party
        return country, party[:2] + ("X" if party[-1:] != "X" else "Y")

    def offer(self, place_id: str) -> Json:
        """A BookingLocation as it is now."""
        return self.get(f"{self.bookings_url}/booking_locations/{place_id}")

    def free_span(
        self, place: Json, *, after: datetime | None = None, minutes: int = 0
    ) -> tuple[datetime, datetime]:
        """A free span of the least length (or of `minutes`), a day from now or later. Raises Skipped."""
        for start, end, _ in self.fitting_spans(place, after=after, minutes=minutes):
            return start, end
        raise Skipped(f"nothing is free at {place['id']} that is long enough")

    def fitting_spans(
        self, place: Json, *, after: datetime | None = None, minutes: int = 0
    ) -> Iterator[tuple[datetime, datetime, Json]]:
        terms = place.get("booking_terms") or {}
        deadline = max(terms.get("change_until_minutes", 0), terms.get("cancel_until_minutes", 0))
        earliest = after or datetime.now(UTC) + max(timedelta(hours=24), timedelta(minutes=deadline + 120))
        for calendar in self.offer(place["id"]).get("calendars") or []:
            step = timedelta(minutes=calendar.get("timeslot_increment") or 15)
            length = timedelta(minutes=minutes or terms.get("min_booking_duration") or 0)
            length = max(1, -(-length // step)) * step
            for slot in calendar["available_timeslots"]:
                opens, closes = read_time(slot["start_date_time"]), read_time(slot["end_date_time"])
                start = opens if opens >= earliest else opens + -(-(earliest - opens) // step) * step
                if start + length <= closes:
                    yield start, start + length, slot

    def request(self, place: Json, span: tuple[datetime, datetime], **more: Any) -> Json:
        """A complete BookingRequest of ours."""
        country, party = self.settings.party
        return {
            "country_code": country,
            "party_id": party,
            "request_id": str(uuid.uuid4()),
            "location_id": place["location_id"],
            "booking_location_id": place["id"],
            "tokens": [self.booking_token()],
            "period": period_of(span),
            "authorization_reference": secrets.token_hex(12),
            **more,
        }

    def booking_token(self) -> Json:
        """One of its own for each booking: overlapping ones of one token may be against the terms."""
        country, party = self.settings.party
        uid = secrets.token_hex(7).upper()
        contract = f"{country}{party}C{secrets.token_hex(4).upper()}"
        return {
            "country_code": country,
            "party_id": party,
            "uid": uid,
            "type": "RFID",
            "contract_id": contract,
        }

    def ask(self, request: Json, **more: Any) -> Answer:
        """POST a BookingRequest; it is cancelled in the end."""
        self.booked.append(request)
        return self.caller.send("POST", self.bookings_url, request, **more)

    def book(self, place: Json | None = None, **more: Any) -> Json:
        """A Booking that stands. Raises Skipped where this cannot be had, Fault where the answer is no Booking."""
        place = place or self.place
        if place is None:
            raise Skipped("there is no BookingLocation that decides at once and has free time")
        booking = self.success(self.ask(self.request(place, self.free_span(place), **more)))
        self.conforms("Booking", booking)
        if booking["reservation_status"] != "RESERVED":
            raise Skipped(f"a booking at {place['id']} is {booking['reservation_status']}")
        return booking

    def again(self, booking: Json, **changes: Any) -> Json:
        """The newest BookingRequest of a booking with something else in it."""
        mine = [one for one in self.booked if one["request_id"] == booking["request_id"]]
        return {**mine[-1], **changes}

    def pushed(self, booking: Json, *, mark: int, status: str = "") -> Call | None:
        """The push of a booking (in a status) to our Receiver, waiting for it if need be."""
        is_it = push_of(booking, status)
        return self.listener.wait(is_it, mark=mark, within_s=self.settings.patience_s)

    def booking_now(self, booking: Json) -> Json:
        """A booking of ours as the platform's list has it. Raises Fault."""
        for one in self.list(self.bookings_url):
            if one["id"] == booking["id"]:
                return one
        raise Fault(f"{booking['id']} is not in the list of our bookings")


CANCELLED_BY_EMSP = {"cancellation_reason": "TRAFFIC", "who_canceled": "EMSP"}


def push_of(booking: Json, status: str = "") -> Callable[[Call], bool]:
    """Is a call one that tells this booking (in this status)?"""
    ends = (f"/{booking['id']}".upper(), f"/{booking['request_id']}".upper())

    def is_it(call: Call) -> bool:
        told = call.body if isinstance(call.body, dict) else {}
        is_told = (
            call.method in ("PUT", "PATCH") and call.path.upper().endswith(ends) and 0 < call.status < 300
        )
        return is_told and (not status or told.get("reservation_status") == status)

    return is_it


def not_judged(reason: str) -> Check:
    """A line of which nothing shows outside, or not without doing harm."""

    def check(_: Run) -> str:
        raise Skipped(reason)

    return check


def period_of(span: tuple[datetime, datetime]) -> Json:
    return {"start_date_time": time_text(span[0]), "end_date_time": time_text(span[1])}


def newest(booking: Json) -> Json:
    """The newest entry of a booking's history."""
    return booking["booking_requests"][-1]
