"""A booking's timeline in sentences, from its events and asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bookings.actors import RULE, Actor, ActorKind
from bookings.core import differences
from bookings.models import (
    INTERRUPTED_WHY,
    Booking,
    BookingEvent,
    BookingRequest,
    BookingStatus,
    CancelReason,
    enforcement_words,
)
from bookings.models.enforcement_words import words_of
from bookings.pages.overstay_words import for_whom
from bookings.pages.payment_words import payment_words
from bookings.pages.power_words import power_sentence
from bookings.pages.remote_words import KEEPING, REMOTE, remote_words
from bookings.rules import power_shortage, quotes
from bookings.rules.energy_slots import asked_of
from depots.models import User


@dataclass(frozen=True)
class TimelineEntry:
    """One entry of components/_timeline.html."""

    at: datetime
    title: str
    text: str = ""
    by: str = ""
    icon_name: str = "history"
    level: str = "info"


STATUS = {
    BookingStatus.HELD: ("Held while its dispatcher decides", "hourglass", "info"),
    BookingStatus.REQUESTED: ("Asked for", "inbox", "info"),
    BookingStatus.CONFIRMED: ("Confirmed", "circle-check", "success"),
    BookingStatus.CHARGING: ("Charging started", "bolt", "success"),
    BookingStatus.COMPLETED: ("Charging ended", "check", "success"),
    BookingStatus.CANCELLED: ("Cancelled", "x", "warning"),
    BookingStatus.DECLINED: ("Declined", "ban", "danger"),
    BookingStatus.NO_SHOW: ("The vehicle did not come in time", "calendar-off", "danger"),
    BookingStatus.FAILED: ("Nothing came of it", "alert-triangle", "danger"),
    BookingStatus.EXPIRED: ("The hold ran out", "clock", "warning"),
}
REFUSED = {
    "create": "The booking was refused",
    "change": "A change was refused",
    "cancel": "A cancellation was refused",
    "offer": "What the depot offered was not taken",
}
OTHERS = {
    "changed": ("Changed", "arrows-exchange", "info"),
    "change_requested": ("A change was asked for", "inbox", "info"),
    "change_accepted": ("The change was accepted", "circle-check", "success"),
    "change_declined": ("The change was declined; the booking stays as it was", "ban", "danger"),
    "offered": ("The depot offers something else", "arrows-exchange", "info"),
    "offer_ended": ("What was offered was not taken; the booking stays as it was", "ban", "warning"),
    "approved": ("The depot said yes; the payment is waited for", "circle-check", "info"),
    "payment_secured": ("The payment is there; the depot is waited for", "circle-check", "info"),
    "cancel_requested": ("The partner was asked to cancel it", "inbox", "info"),
    "answered": ("The partner answered", "inbox", "info"),
    "session_matched": ("A session of the partner was said to be for it", "plug", "info"),
    "record_matched": ("A record of the partner was said to be for it", "list", "info"),
    "metered": ("The partner told what was charged", "plug", "info"),
    "evidence": ("What the charger told in that time", "list", "info"),
    "waived": ("No fee: the charger was at fault", "circle-check", "success"),
    "fee_waived": ("The depot waived what it cost", "circle-check", "success"),
    "disputed": ("Its cost is disputed", "alert-triangle", "warning"),
    "dispute_accepted": ("The dispute was accepted", "circle-check", "success"),
    "dispute_rejected": ("The dispute was rejected", "ban", "danger"),
    "repeated": ("Repeated: it is the first of a series", "refresh", "info"),
    "booked_anew": ("Booked anew, with another reference", "refresh", "info"),
    "trip_stop_stays": ("Its trip was given up; this stop stays", "clock", "warning"),
    "interrupted": ("Charging broke off", "plug-off", "danger"),
    "resumed": ("Charging goes on", "bolt", "success"),
    "power_limited": ("Less power than promised is to come", "bolt", "warning"),
    "power_limit_lifted": ("The limit of power was lifted", "bolt", "success"),
    "power_short": ("Less power than promised", "bolt", "danger"),
    "power_restored": ("All the promised power again", "bolt", "success"),
    "arrived": ("The vehicle has arrived", "map-pin", "success"),
    "not_arrived": ("The vehicle is not here after all", "map-pin", "info"),
    "eta_late": ("Its vehicle says that it comes too late", "clock", "warning"),
    "ending": ("The slot ends soon", "clock", "info"),
    "overstay": ("The session has outlived its slot", "clock", "warning"),
    "seen": ("Seen by its fleet", "eye", "info"),
}

# What a depot or partner does to a booking that its fleet is to hear of, beside its moves of status.
CHANGES = {"changed", "change_accepted", "change_declined"}


def moments(booking: Booking, *, organisation_ids: Iterable[int], is_fleet: bool) -> list[TimelineEntry]:
    """The latest first. Of people only those of one's own organisations are named, of others the side they act for."""
    events = [event for event in booking.events.all() if not _is_of_the_wire_alone(event)]
    asks = list(booking.requests.all())
    actors = {event.actor for event in events} | {ask.asked_by for ask in asks}
    known = _colleagues(actors, organisation_ids)
    lifted = {event.pk for event in power_shortage.announcements(events).lifted}
    told = [_of_event(event, booking, known, is_fleet) for event in events]
    found = [
        _as_lifted(entry) if event.pk in lifted else entry for event, entry in zip(events, told, strict=True)
    ]
    found += [_of_refusal(ask, booking, known, is_fleet) for ask in asks if _is_refused_by_rule(ask)]
    return sorted(found, key=lambda moment: moment.at)[::-1]


def _is_of_the_wire_alone(event: BookingEvent) -> bool:
    """A partner told its own state or id of the booking anew, and nothing of it is another for people."""
    return event.kind == "answered" and not event.detail.get("after") and not event.detail.get("reason")


def _of_event(event: BookingEvent, booking: Booking, known: set[str], is_fleet: bool) -> TimelineEntry:
    title, icon, level = _words(event, booking)
    by = _by(event.actor, booking, known, is_fleet)
    return TimelineEntry(event.at, title, _text(event, booking), by, icon, level)


def _as_lifted(announced: TimelineEntry) -> TimelineEntry:
    """An announced limit that was lifted since."""
    return replace(announced, title="Less power than promised was to come", level="info")


def _words(event: BookingEvent, booking: Booking) -> tuple[str, str, str]:
    if event.kind == "enforcement":
        words = words_of(event.after)
        told = enforcement_words.told(event.after, str(event.detail.get("why", "")), before=event.before)
        return told, words.icon, words.level
    if event.kind == "waived" and event.detail.get("why") == power_shortage.WHY:
        return "No fee: less power than promised", "circle-check", "success"
    if event.kind == "session":
        return _session_words(event.detail)
    if event.kind == "fallback":
        return _keeping_words(event.after, str(event.detail.get("way", "")))
    if event.kind == "overstay" and event.detail.get("in_vain"):
        return "The charger does not stop it: somebody has to go there", "alert-triangle", "danger"
    if event.kind in {*REMOTE, *KEEPING}:
        return remote_words(event.kind, event.after)
    if event.kind != "status":
        title, icon, level = OTHERS.get(
            event.kind, (event.kind.replace("_", " ").capitalize(), "history", "info")
        )
        by_depot = event.detail.get("by") == Booking.Side.DEPOT and event.kind == "changed"
        return (f"{title} by the depot", icon, "warning") if by_depot else (title, icon, level)
    title, icon, level = STATUS[BookingStatus(event.after)]
    if event.after == BookingStatus.CANCELLED and event.before == BookingStatus.HELD:
        return "Given back", "x", "info"
    by = {"fleet": " by its fleet", "depot": " by the depot"}.get(str(event.detail.get("by", "")), "")
    if event.after == BookingStatus.REQUESTED:
        by = f" at {booking.depot.operator.name}" if not booking.is_ours else " at the depot"
    return title + by, icon, level


def _text(event: BookingEvent, booking: Booking) -> str:
    detail = event.detail
    parts = [differences.words(detail, booking), _charged(detail), _at_another(detail)]
    parts.append(_already_there(detail, booking))
    parts.append(payment_words(detail["payment"], booking) if "payment" in detail else "")
    parts += _seen(detail, booking)
    parts.append(_when_it_ends(detail, booking))
    parts += _circumstances(detail, booking)
    parts.append(power_sentence(detail, booking))
    parts.append(f"No more than {detail['limit_kw']:g} kW" if "limit_kw" in detail else "")
    why = "" if detail.get("seen") else str(detail.get("why") or "")
    reason = str(
        detail.get("reason") or enforcement_words.ENFORCEMENT_WHY.get(why) or INTERRUPTED_WHY.get(why, why)
    )
    parts.append(_of_left_evse(event, reason) or CancelReason.words(reason))
    parts.append(str(detail.get("note") or ""))
    if detail.get("irregular"):
        parts.append("The partner skipped a step that its protocol has.")
    return " ".join(f"{part.rstrip('.')}." for part in parts if part)


def _of_left_evse(event: BookingEvent, reason: str) -> str:
    """Why it was moved: what was wrong with the EVSE it left."""
    left = (event.detail.get("before") or {}).get("evse") if event.kind == "changed" else None
    return f"{left}: {reason}" if left and event.detail.get("why") else ""


def _seen(detail: dict[str, Any], booking: Booking) -> Iterator[str]:
    """What charger and depot were seen to do, by the depot's clock."""
    for fault in detail.get("seen") or ():
        moments = [datetime.fromisoformat(fault[edge]) for edge in ("start", "end")]
        hours = [f"{moment.astimezone(booking.depot.zone):%H:%M}" for moment in moments]
        words = enforcement_words.why(fault["why"]).rstrip(".")
        yield f"{words} ({hours[0]}–{hours[1]})"


def _keeping_words(step: str, way: str) -> tuple[str, str, str]:
    """An EVSE that is kept without a reservation."""
    is_out = way == "availability"
    if step == "asked":
        how = (
            "is taken out of service until the vehicle is there"
            if is_out
            else "gives no power until the slot begins"
        )
        return f"The EVSE {how}", "lock", "info"
    if step == "refused":
        return "The charger refuses to be kept that way", "ban", "warning"
    back = "The EVSE is put back into service" if is_out else "The EVSE gives power again"
    return back, "lock-open", "info"


def _when_it_ends(detail: dict[str, Any], booking: Booking) -> str:
    """What who charges is told before the end, by the depot's clock."""
    if "overstays_at" not in detail:
        return ""
    ends, late, stops = (
        f"{datetime.fromisoformat(told).astimezone(booking.depot.zone):%H:%M}"
        if (told := detail.get(name))
        else ""
        for name in ("ends_at", "overstays_at", "stops_at")
    )
    words = f"At {ends}" + (f", by {late} at the latest" if late != ends else "")
    return f"{words}. Charging is stopped from {stops} on{for_whom(booking)}" if stops else words


def _already_there(detail: dict[str, Any], booking: Booking) -> str:
    """Of a session that was taken over: since when it runs."""
    if "already_since" not in detail:
        return ""
    since = datetime.fromisoformat(detail["already_since"]).astimezone(booking.depot.zone)
    before = f", in booking {detail['in_booking']}" if "in_booking" in detail else ""
    return f"The vehicle was charging there since {since:%H:%M} already{before}"


ANSWERED = {
    "reserve": "the reservation was answered",
    "availability": "taking the EVSE out of service was answered",
    "set_charging_profile": "holding the power back was answered",
}


def _circumstances(detail: dict[str, Any], booking: Booking) -> Iterator[str]:
    """Connection, status and answers around the time in which a vehicle was to come."""
    if "is_online" not in detail:
        return
    yield "Its charger was connected" if detail["is_online"] else "Its charger was not connected"
    if detail.get("status"):
        yield f"The EVSE said {detail['status']} last{_at_clock(detail.get('status_at'), booking)}"
    for answer in detail.get("answers") or ():
        asked = ANSWERED.get(answer["action"], answer["action"])
        words = str(answer["answer"]).replace("_", " ")
        yield f"{asked[:1].upper()}{asked[1:]} with {words}{_at_clock(answer['at'], booking)}"


def _at_clock(told: str | None, booking: Booking) -> str:
    return f" at {datetime.fromisoformat(told).astimezone(booking.depot.zone):%H:%M}" if told else ""


def _session_words(detail: dict[str, Any]) -> tuple[str, str, str]:
    if detail.get("is_kept"):
        return "A try to charge failed; the slot stays the vehicle's", "plug-off", "warning"
    if detail.get("is_corrected"):
        return "The charger corrected what was charged", "edit", "info"
    if "ended_at" in detail:
        return "Charging in the rest of the slot ended", "check", "success"
    return "Charging was taken up again", "bolt", "success"


def _charged(detail: dict[str, Any]) -> str:
    """`15 of about 267 kWh`, of what ended or broke off."""
    wh = detail.get("metered_wh", detail.get("energy_wh"))
    if not isinstance(wh, int):
        return "The meter does not say how much" if "ended_at" in detail else ""
    expected = detail.get("expected_wh")
    return f"{wh / 1000:.3g} of about {expected / 1000:.0f} kWh" if expected else f"{wh / 1000:.3g} kWh"


def _at_another(detail: dict[str, Any]) -> str:
    booked, there = detail.get("instead_of"), detail.get("evse")
    return f"At {there} instead of {booked}" if booked and there else ""


def _by(actor: Actor, booking: Booking, known: set[str], is_fleet: bool) -> str:
    if actor.is_person:
        return actor.name if actor.name.lower() in known else _side(actor, booking, is_fleet)
    if actor.kind == ActorKind.BERTH:
        return "Berth"
    words = str(actor)
    return words[:1].upper() + words[1:]


def _side(actor: Actor, booking: Booking, is_fleet: bool) -> str:
    """For whom a person who is not named acts. Who is no colleague acts for the other side, where it was not kept."""
    if actor.kind == ActorKind.PERSON:
        is_of_depot = is_fleet
    else:
        is_of_depot = actor.kind == ActorKind.MANAGER
    return booking.depot.operator.name if is_of_depot else booking.fleet.name


def _is_refused_by_rule(ask: BookingRequest) -> bool:
    """Every other ask left an event of its own."""
    return ask.decision == BookingRequest.Decision.DECLINED and ask.decided_by == RULE


def _of_refusal(ask: BookingRequest, booking: Booking, known: set[str], is_fleet: bool) -> TimelineEntry:
    title = REFUSED[ask.kind]
    before = {"option": booking.option.code}
    wanted = differences.words({"before": before, "after": ask.asked}, booking)
    text = " ".join(f"{part.rstrip('.')}." for part in (wanted, ask.reason) if part)
    return TimelineEntry(
        ask.asked_at, title, text, _by(ask.asked_by, booking, known, is_fleet), "ban", "danger"
    )


def _colleagues(actors: set[Actor], organisation_ids: Iterable[int]) -> set[str]:
    people = [actor.name for actor in actors if actor.is_person]
    rows = User.objects.filter(email__in=people, memberships__organisation__in=list(organisation_ids))
    return {email.lower() for email in rows.values_list("email", flat=True)}


def asked_words(booking: Booking) -> str:
    """What the open ask would make of the booking; empty when none is open or it is the booking itself."""
    ask = booking.pending_request
    if ask is None or ask.kind != BookingRequest.Kind.CHANGE:
        return ""
    return differences.words({"before": _as_it_is(booking), "after": ask.asked}, booking)


def _as_it_is(booking: Booking) -> dict[str, Any]:
    """The booking in the words of an ask."""
    energy = asked_of(booking)
    return {
        "period": booking.period.as_json(),
        "option": booking.option.code,
        "evse": booking.evse.uid if booking.evse else None,
        "vehicle": booking.plate,
        "trailer": booking.trailer.plate if booking.trailer else None,
        "price": quotes.brief(booking.quote),
        "energy": energy.to_json() if energy else None,
    }


def last_change_by_depot(booking: Booking) -> TimelineEntry | None:
    """The latest thing the depot or partner did to it, if its fleet is to know.

    A move comes with other events of the same moment: what the charger was told, what its fleet is owed.
    """
    if booking.changed_by_depot_at is None:
        return None
    for event in reversed(booking.events.all()):
        if event.at == booking.changed_by_depot_at and _is_change_by_depot(event):
            return _of_event(event, booking, set(), True)
    return None


def _is_change_by_depot(event: BookingEvent) -> bool:
    if event.kind == "status":
        return event.after != BookingStatus.CHARGING
    return event.kind in CHANGES
