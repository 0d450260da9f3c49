"""Who hears what, and in which words."""

from __future__ import annotations

import re
import string
from datetime import timedelta

import pytest

from bookings import operations
from bookings.models import (
    INTERRUPTED_WHY,
    Booking,
    BookingEvent,
    BookingStatus,
    Enforcement,
    InboxMessage,
    NotificationChoice,
    Occurrence,
    OutgoingMail,
    Reader,
    enforcement_words,
)
from bookings.notifications import expansion, feed, inbox, kinds, mails, resolving, wording
from bookings.notifications.occurrences import leave_word
from bookings.notifications.texts import LANGUAGES
from bookings.operations.agreements import accept_proposal, ask_for_access, decline_proposal, offer_access
from bookings.operations.end_agreement import end_agreement
from bookings.rules.content_version import version_of
from bookings.signals import invoices_issued
from depots.models import Membership
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_user,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import make_invoice

pytestmark = pytest.mark.django_db


@pytest.fixture
def booking() -> Booking:
    """Of a fleet at somebody else's depot, which is to approve; with a dispatcher and a manager."""
    evse, vehicle = make_evse(), make_vehicle(plate="HH-NF 7")
    evse.depot.terms.approval = True
    evse.depot.terms.save()
    make_user(vehicle.fleet, email="dispatcher@fleet.example")
    make_user(evse.depot.operator, "depot_manager", email="manager@depot.example")
    return book_slot(fleet=vehicle.fleet, option=option_of(evse), vehicle=vehicle, period=slot(10, 11))


def tell(booking: Booking) -> None:
    """All that has happened to it and was not told yet."""
    told = feed.FeedEvent.objects.filter(booking=booking).values("source")
    expansion.tell(list(booking.events.exclude(pk__in=told).order_by("pk")), now=NOW)


def heard(address: str) -> list[str]:
    return list(
        InboxMessage.objects.filter(user__email=address).order_by("pk").values_list("kind", flat=True)
    )


def mailed(address: str) -> list[list[str]]:
    rows = OutgoingMail.objects.filter(user__email=address).order_by("pk")
    return [[one["kind"] for one in row.news] for row in rows]


def test_a_request_waits_for_its_manager_and_the_answer_is_the_fleets(booking):
    tell(booking)
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    tell(booking)

    assert heard("manager@depot.example") == ["request_waits"]
    assert mailed("manager@depot.example") == [["request_waits"]]
    assert heard("dispatcher@fleet.example") == ["granted"]
    assert mailed("dispatcher@fleet.example") == [["granted"]]


def test_who_did_it_is_not_told_and_their_colleagues_are(booking):
    make_user(booking.depot.operator, "depot_manager", email="colleague@depot.example")
    other = make_user(booking.depot.operator, "dispatcher", email="other@depot.example")
    operations.cancel_booking(booking_id=booking.pk, by="depot", reason="FULL", actor=MANAGER, now=NOW)

    tell(booking)

    assert heard("dispatcher@fleet.example") == ["cancelled_by_depot"]
    assert heard("colleague@depot.example") == ["request_waits"]
    assert heard(other.email) == []


def test_several_changes_within_a_minute_are_one_mail(booking):
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    tell(booking)
    operations.cancel_booking(booking_id=booking.pk, by="depot", reason="FULL", actor=MANAGER, now=NOW)
    tell(booking)

    assert mailed("dispatcher@fleet.example") == [["granted", "cancelled_by_depot"]]
    mail = OutgoingMail.objects.get(user__email="dispatcher@fleet.example")
    assert mail.due_at == NOW + timedelta(minutes=1)
    assert mails.message(mail).subject.startswith("Cancelled by the depot: HH-NF 7")


def test_a_person_chooses_for_each_kind(booking):
    user = Membership.objects.get(user__email="manager@depot.example").user
    NotificationChoice.objects.create(user=user, kind="request_waits", inbox=False, mail=True)

    tell(booking)

    assert (heard(user.email), mailed(user.email)) == ([], [["request_waits"]])


def test_an_administrator_reads_in_the_inbox_what_others_get_by_mail(booking):
    make_user(booking.depot.operator, "admin", email="admin@depot.example")

    tell(booking)

    assert heard("admin@depot.example") == ["request_waits"]
    assert mailed("admin@depot.example") == []


EVENTS = {
    "declined": ("status", BookingStatus.REQUESTED, BookingStatus.DECLINED, {}),
    "failed": ("status", BookingStatus.REQUESTED, BookingStatus.FAILED, {}),
    "granted": ("status", BookingStatus.REQUESTED, BookingStatus.CONFIRMED, {}),
    "cancelled_by_fleet": ("status", BookingStatus.CONFIRMED, BookingStatus.CANCELLED, {"by": "fleet"}),
    "cancelled_by_depot cancelled_here": (
        "status",
        BookingStatus.CONFIRMED,
        BookingStatus.CANCELLED,
        {"by": "depot"},
    ),
    "no_show no_show_here": ("status", BookingStatus.CONFIRMED, BookingStatus.NO_SHOW, {}),
    "complete": ("status", BookingStatus.CHARGING, BookingStatus.COMPLETED, {}),
    "request_waits": ("status", "", BookingStatus.REQUESTED, {}),
    "": ("status", BookingStatus.HELD, BookingStatus.CANCELLED, {}),
    "at_risk at_risk_here": ("enforcement", Enforcement.DUE, Enforcement.AT_RISK, {"why": "offline"}),
    "soft": ("enforcement", Enforcement.DUE, Enforcement.SOFT, {}),
    "swapped swapped_here": ("changed", "", "", {"by": "depot"}),
    "changed_by_fleet": ("changed", "", "", {"by": "fleet"}),
    "change_waits": ("change_requested", "", "", {"by": "fleet"}),
    "change_granted": ("change_accepted", "", "", {}),
    "change_declined": ("change_declined", "", "", {}),
    "arrived": ("arrived", "", "", {}),
    "eta_late": ("eta_late", "", "", {"reason": "The next slot has begun by then."}),
    "ending_soon": ("ending", "", "", {}),
    "overstay overstay_here": ("overstay", "", "", {}),
    "will_not_stop": ("overstay", "", "", {"in_vain": True}),
    "interrupted": ("interrupted", "", "", {}),
    "resumed": ("resumed", "", "", {}),
    "power_limited": ("power_limited", "", "", {"limit_kw": 50}),
    "power_limit_lifted": ("power_limit_lifted", "", "", {}),
}


@pytest.mark.parametrize("told", EVENTS)
def test_what_an_event_is_to_people(booking, told):
    kind, before, after, detail = EVENTS[told]
    event = BookingEvent(
        booking=booking, kind=kind, before=before, after=after, detail=detail, actor_kind="berth", at=NOW
    )

    found = list(resolving.news_of(event, booking))

    assert " ".join(news.kind for news in found) == told
    for news in found:
        for language in LANGUAGES:
            assert "–" not in wording.sentence(news.kind, news.params, language).title.replace(
                "11:00–12:00", ""
            )


def held_after(booking: Booking, *between: tuple[str, str]) -> list[str]:
    """What its dispatcher has heard once a charger holds it, after these events."""
    for kind, after in (*between, ("enforcement", Enforcement.ARMED)):
        BookingEvent.objects.create(
            booking=booking, kind=kind, after=after, actor_kind="berth", at=NOW, version=1
        )
    tell(booking)
    return heard("dispatcher@fleet.example")


RISK, DUE = ("enforcement", Enforcement.AT_RISK), ("enforcement", Enforcement.DUE)


def test_who_heard_of_a_risk_hears_that_it_is_over(booking):
    assert held_after(booking) == []
    assert held_after(booking, RISK, DUE) == ["at_risk", "kept_again"]
    assert heard("manager@depot.example") == ["request_waits", "at_risk_here", "kept_again_here"]
    # Asked again in between, with the same answer, it is not told again.
    assert held_after(booking, RISK, DUE, RISK)[2:] == ["at_risk", "kept_again"]
    # Moved meanwhile it is told as that.
    assert held_after(booking, RISK, ("changed", ""), DUE)[4:] == ["at_risk"]


def test_a_risk_that_is_over_before_its_mail_goes_out_is_not_mailed(booking, mailoutbox):
    held_after(booking, RISK)
    mail = OutgoingMail.objects.get(user__email="dispatcher@fleet.example")
    OutgoingMail.objects.update(state="sending")

    assert mails.send(mail_id=mail.pk, attempts=0, clock=lambda: NOW)

    assert (mailoutbox, OutgoingMail.objects.filter(pk=mail.pk).exists()) == ([], False)


def of(kind: str, **params: bool) -> dict[str, object]:
    return {"kind": kind, "params": params}


@pytest.mark.parametrize("side", ["", "_here"])
def test_a_mail_says_what_holds_when_it_goes_out(booking, side):
    risk, over, moved, granted = of(f"at_risk{side}"), of(f"kept_again{side}"), of("swapped"), of("granted")
    # Behind one that an earlier mail may have told of.
    another = of(f"at_risk{side}", was_at_risk=True)

    def left(*news: dict[str, object], now: str) -> list[dict[str, object]]:
        booking.enforcement = now
        return mails.news_now(OutgoingMail(booking=booking, news=list(news)))

    assert left(over, now="armed") == [over]
    assert left(risk, over, risk, now="at_risk") == [risk]
    assert left(granted, risk, over, now="armed") == [granted]
    assert left(risk, moved, now="due") == [moved]
    assert left(risk, now="soft") == []
    assert left(risk, another, over, now="armed") == []
    assert left(another, over, now="armed") == [over]
    assert left(another, over, risk, over, now="armed") == [over]


def test_a_risk_for_another_reason_does_not_take_the_end_of_the_one_that_was_mailed(booking):
    def happen(after: str, why: str = "") -> None:
        BookingEvent.objects.create(
            booking=booking, kind="enforcement", after=after, detail={"why": why}, actor_kind="berth", at=NOW,
            version=1,
        )  # fmt: skip
        tell(booking)

    happen(Enforcement.AT_RISK, "occupied")
    OutgoingMail.objects.update(state="sent")
    happen(Enforcement.AT_RISK, "offline")
    happen(Enforcement.ARMED)

    mail = OutgoingMail.objects.get(user__email="dispatcher@fleet.example", state="waiting")
    assert [one["kind"] for one in mail.news] == ["at_risk", "kept_again"]
    Booking.objects.filter(pk=booking.pk).update(enforcement=Enforcement.ARMED)
    assert mails.message(mail).subject.startswith("No longer at risk")


def test_of_a_trip_the_whole_is_told_and_no_grant_of_a_stop(booking):
    booking.trip_id = 1
    event = BookingEvent(
        booking=booking, kind="status", before=BookingStatus.REQUESTED, after=BookingStatus.CONFIRMED, detail={},
        actor_kind="manager", at=NOW,
    )  # fmt: skip

    assert list(resolving.news_of(event, booking)) == []


def test_news_without_a_booking_is_told_by_the_same_table():
    operator, fleet = make_evse().depot.operator, make_fleet()
    user = make_user(fleet, "accountant")
    params = {"number": "R-1", "operator": operator.name, "amount": "1234.50", "currency": "EUR"}
    leave_word("invoice_issued", fleet, params=params, link="/invoices/1/", at=NOW)

    expansion.tell_occurrences(list(resolving.Occurrence.objects.all()), now=NOW)

    [message] = inbox.messages_of(user)
    told = [wording.sentence(message.kind, message.params, language).title for language in ("en", "de")]
    assert told == [
        f"Invoice R-1 of {operator.name} over €1,234.50",
        f"Rechnung R-1 von {operator.name} über 1.234,50\xa0€".replace("\xa0", " "),
    ]


def test_times_are_those_of_the_depot_in_the_readers_language(booking):
    params = resolving.params_of(booking)

    english, german = (wording.sentence("granted", params, language).title for language in ("en", "de"))

    place = booking.depot.name
    assert english == f"Granted: HH-NF 7 at {place}, Tue 15 Jan 2030, 11:00–12:00 (Europe/Berlin)"
    assert german == f"Zugesagt: HH-NF 7 in {place}, Di. 15 Jan. 2030, 11:00–12:00 (Europe/Berlin)"


def test_what_was_before_is_named_with_what_is_now(booking):
    params = resolving.params_of(booking) | {
        "changed": ["evse", "period"],
        "before": {"period": slot(12, 13).as_json(), "evse": "CP-9-1"},
        "reason": "BROKEN_CHARGER",
    }

    told = wording.sentence("changed_by_depot", params, "de")

    assert told.more == (
        "Vorher: Di. 15 Jan. 2030, 13:00–14:00 (Europe/Berlin), CP-9-1. Grund: Ladesäule defekt."
    )


SAID = {
    "at risk": (
        BookingEvent(kind="enforcement", after=Enforcement.AT_RISK, detail={"why": "offline"}),
        "The charger is not connected. It is told as soon as it is back; a charger keeps what it has accepted meanwhile.",
    ),
    "swapped": (
        BookingEvent(kind="changed", detail={"by": "depot", "why": "faulted"}),
        "The EVSE reports a fault.",
    ),
    "interrupted": (
        BookingEvent(kind="interrupted", detail={"why": "offline"}),
        "The charger has lost its connection.",
    ),
    "waived": (
        BookingEvent(kind="status", before="confirmed", after=BookingStatus.NO_SHOW, detail={"waived": "offline"}),
        "No fee: the charger was at fault.",
    ),
    "less power": (
        BookingEvent(kind="power_limited", detail={
            "period": {"start": "2030-01-15T10:00:00Z", "end": "2030-01-15T10:30:00Z"},
            "limit_w": 500_000, "expected_w": 0, "promised_w": 300_000,
        }),
        "From 11:00 to 11:30 the depot has 500 kW: about 0 kW of the promised 300 kW.",
    ),
    "stopped": (
        BookingEvent(kind="overstay"),
        "The charger is told to stop charging from 12:10 (Europe/Berlin) on.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_news_says_why_and_what_follows(booking, name):
    event, said = SAID[name]
    event.booking, event.actor_kind, event.at = booking, "berth", NOW
    booking.terms_json |= {"overstay": "stop", "overstay_min": 10}

    first, *_ = resolving.news_of(event, booking)

    assert wording.sentence(first.kind, first.params, "en").more == said
    assert wording.sentence(first.kind, first.params, "de").more not in {"", said}


def test_what_a_depot_adds_to_its_reason_is_told(booking):
    params = resolving.params_of(booking) | {"reason": "FULL", "note": "Come at\nfour."}

    told = wording.sentence("cancelled_by_depot", params, "en")

    assert told.more == "Reason: The depot is full. Come at four."


def test_a_name_with_a_line_break_breaks_no_header(booking):
    params = resolving.params_of(booking) | {"depot": "Kassel\r\nBcc: all@evil.example"}

    subject, _ = wording.mail([{"kind": "granted", "params": params, "link": "/"}], "en")

    assert "\n" not in subject
    assert "\r" not in subject


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_words_for_every_kind(language):
    words = LANGUAGES[language]

    assert set(words.TITLES) == set(words.SHORT) == set(kinds.KINDS)
    assert set(words.REASONS) == set(LANGUAGES["en"].REASONS)
    assert set(words.PHRASES) == set(LANGUAGES["en"].PHRASES)
    assert set(words.ENFORCEMENT) == set(enforcement_words.ENFORCEMENT_WHY)
    assert set(words.NEXT) == set(enforcement_words.NEXT)
    assert set(words.INTERRUPTED) == set(INTERRUPTED_WHY)
    for name, text in [*words.TITLES.items(), *words.PHRASES.items()]:
        english = (LANGUAGES["en"].TITLES | LANGUAGES["en"].PHRASES)[name]
        assert placeholders(text) == placeholders(english), name


def placeholders(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


def test_a_mail_brings_the_booking_for_a_calendar_and_takes_it_out_again(booking):
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    tell(booking)
    mail = OutgoingMail.objects.get(user__email="dispatcher@fleet.example")

    first = mails.message(mail)
    operations.cancel_booking(booking_id=booking.pk, by="depot", reason="FULL", actor=MANAGER, now=NOW)
    second = mails.message(mail)

    (name, content, kind), (_, cancelled, other) = first.attachments[0], second.attachments[0]
    assert name == f"{booking.reference}.ics"
    assert ("method=REQUEST" in kind, "method=CANCEL" in other) == (True, True)
    assert uid(content) == uid(cancelled) == f"{booking.reference}@127.0.0.1"
    assert sequence(cancelled) > sequence(content)
    assert "DTSTART:20300115T100000Z" in text_of(content)


def text_of(content: bytes | str) -> str:
    return content.decode() if isinstance(content, bytes) else content


def uid(content: bytes | str) -> str:
    return re.search(r"^UID:(.*?)\r?$", text_of(content), re.MULTILINE)[1]


def sequence(content: bytes | str) -> int:
    return int(re.search(r"^SEQUENCE:(\d+)", text_of(content), re.MULTILINE)[1])


def test_an_operator_sees_of_a_fleets_cards_the_ending_alone(booking):
    tell(booking)

    mine, theirs = (
        feed.events_of(organisation).get().content for organisation in (booking.fleet, booking.depot.operator)
    )
    number = booking.tokens.get().uid

    assert mine["tokens"] == [number]
    assert theirs["tokens"] == [f"…{number[-4:]}"]
    assert theirs["vehicle"] == "HH-NF 7"


def test_the_status_in_a_feed_is_that_of_its_event(booking):
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    operations.cancel_booking(booking_id=booking.pk, by="fleet", reason="TRAFFIC", actor=DISPATCHER, now=NOW)

    tell(booking)

    rows = feed.events_of(booking.fleet)
    assert [(row.type, row.content["status"]) for row in rows] == [
        ("booking.requested", "requested"), ("booking.confirmed", "confirmed"), ("booking.cancelled", "cancelled"),
    ]  # fmt: skip


def test_every_status_has_its_type():
    assert {f"booking.{status}" for status in BookingStatus.values} < set(feed.TYPES)


def test_a_german_reads_german_mails(booking):
    tell(booking)
    mail = OutgoingMail.objects.get(user__email="manager@depot.example")
    Reader.objects.create(user=mail.user, language="de")
    mail.user.refresh_from_db()

    assert mails.message(mail).subject.startswith("Eine Anfrage wartet auf Sie: HH-NF 7")


def test_a_closure_is_told_to_the_fleets_whose_bookings_stand_in_it(booking):
    operations.close_evse(evse=booking.evse, period=slot(9, 11), reason="Cable", actor=MANAGER, now=NOW)
    operations.close_evse(
        evse=booking.evse, period=slot(20, 21), actor=MANAGER, now=NOW + timedelta(seconds=1)
    )

    [told] = resolving.Occurrence.objects.all()

    assert (told.kind, told.organisation_id, told.booking) == ("closure", booking.fleet_id, booking)
    title, more = (
        wording.sentence(told.kind, told.params, "en").title,
        wording.sentence(told.kind, told.params, "en").more,
    )
    assert title.startswith(f"{booking.evse.uid} is closed during your slot: HH-NF 7")
    assert more == "Reason: Cable."


def test_an_invoice_is_told_to_its_customers_accountants():
    seller, buyer = make_operator("Ladepark Nord"), make_fleet()
    invoice = make_invoice(seller, buyer)

    invoices_issued.send(sender=type(invoice), invoices=[invoice], at=NOW)

    told = resolving.Occurrence.objects.get()
    assert (told.kind, told.organisation_id, told.link) == (
        "invoice_issued",
        buyer.pk,
        f"/invoices/{invoice.pk}/",
    )
    assert invoice.number in wording.sentence(told.kind, told.params, "de").title


def test_an_agreements_other_side_is_told_of_every_step():
    depot, guest, other = make_depot(open_to_all=False), make_fleet(), make_fleet()
    asked = ask_for_access(depot=depot, guest=guest, actor=DISPATCHER, now=NOW)
    agreement = accept_proposal(
        proposal_id=asked.pk, seen_version=version_of(asked), actor=MANAGER, now=NOW + timedelta(seconds=1)
    )
    refused = ask_for_access(depot=depot, guest=other, actor=DISPATCHER, now=NOW)
    decline_proposal(
        proposal_id=refused.pk, reason="Full", seen_version=version_of(refused), actor=MANAGER, now=NOW
    )
    for answers in (decline_proposal, accept_proposal):
        offered = offer_access(depot=depot, guest=other, message="Come", actor=MANAGER, now=NOW)
        answers(proposal_id=offered.pk, seen_version=version_of(offered), actor=DISPATCHER, now=NOW)
    end_agreement(agreement_id=agreement.pk, actor=MANAGER, now=NOW + timedelta(seconds=2))

    told = Occurrence.objects.order_by("pk").values_list("kind", "organisation", "params__reason")
    assert list(told) == [
        ("agreement_asked", depot.operator_id, ""),
        ("agreement_accepted", guest.pk, ""),
        ("agreement_asked", depot.operator_id, ""),
        ("agreement_declined", other.pk, "Full"),
        ("agreement_invited", other.pk, "Come"),
        ("invitation_declined", depot.operator_id, ""),
        ("agreement_invited", other.pk, "Come"),
        ("invitation_accepted", depot.operator_id, ""),
        ("agreement_ended", guest.pk, None),
    ]
