from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connection, transaction

from bookings.actors import Actor
from bookings.billing.particulars import register_organisation, set_particulars
from bookings.imports.depots import write_depot_file
from bookings.imports.vehicles import write_vehicle_file
from bookings.models import Booking, PaymentTerms
from bookings.notifications import telling
from bookings.operations import close_evse
from bookings.operations.open_depot import CreditLimit, open_depot
from config.demo_data import billed_months, diary, prepaid, present, simulator_files, troubles
from config.demo_data.demo_depots import depot_file
from config.demo_data.fleets import (
    ACCOUNTANTS,
    BALTCARGO,
    FIRMS,
    LOGINS,
    PARTICULARS,
    PLATFORM_ADMINISTRATORS,
    Firm,
    vehicle_file,
)
from config.demo_data.replay import History
from depots.imports.documents import Document
from depots.models import Depot, Evse, Membership, Organisation, User
from depots.periods import Period

PASSWORD = "berth-demo"  # noqa: S105 - printed at every start
# The agreements are older than the oldest booking made under them.
OPENED_BEFORE = timedelta(days=14)
FIRST_DEPOT = "NF-HAM"


@dataclass(frozen=True)
class Loaded:
    """What there is of the demo, and how many bookings this call made."""

    is_new: bool
    depots: int
    evses: int
    bookings: int
    made: int


def load(*, now: datetime) -> Loaded:
    """Bring the demo data up to now: all of it on a database without, the missing days on one that has been away.

    One transaction; called again at once it changes nothing. What somebody changed in the demo stays changed.
    """
    with _mail_to_nobody(), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('load_demo', 0))")
        is_new = not Depot.objects.filter(code=FIRST_DEPOT).exists()
        if is_new:
            _found(now)
        elif not User.objects.filter(email__in=ACCOUNTANTS).exists():
            _add_accountants()
        made = _live(now, is_new)
        simulator_files.invite_partner(now)
        telling.keep_quiet(before=now - TOLD_OF)
    simulator_files.write_chargers()
    own = Depot.objects.filter(is_mirror=False)
    return Loaded(
        is_new=is_new,
        depots=own.count(),
        evses=Evse.objects.filter(depot__in=own, is_withdrawn=False).count(),
        bookings=Booking.objects.count(),
        made=made,
    )


# What is younger is news: the inboxes of a new demo have something in them.
TOLD_OF = timedelta(hours=2)


@contextmanager
def _mail_to_nobody() -> Iterator[None]:
    """Invoices of the demo's past were sent then; there is nobody to get them now."""
    before = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    try:
        yield
    finally:
        settings.EMAIL_BACKEND = before


def _found(now: datetime) -> None:
    """Organisations, people, depots and vehicles."""
    for firm in FIRMS:
        register_organisation(name=firm.name, parties=firm.parties, particulars=PARTICULARS[firm.name])
    _add_people()
    opened = datetime.combine(diary.first_day(now.date()), time(), UTC) - OPENED_BEFORE
    write_depot_file(_document(depot_file()), now=opened)
    _agree_on_credit(opened)
    for firm in FIRMS:
        if firm.emsp_party_id:
            write_vehicle_file(_document(vehicle_file(firm)), fleet=_organisation(firm))


def _agree_on_credit(now: datetime) -> None:
    """One fleet may owe so much at one depot, and has two months to pay."""
    depot = Depot.objects.get(code="LP-VEN")
    credit = CreditLimit(Decimal(20_000), PaymentTerms.Beyond.APPROVE)
    agreement, _ = open_depot(depot=depot, guest=_organisation(BALTCARGO), credit=credit, now=now)
    PaymentTerms.objects.filter(agreement=agreement).update(due_days=60)


def _add_accountants() -> None:
    """To a demo from before there were invoices: who writes them, and what they must say."""
    _add_people()
    for name, particulars in PARTICULARS.items():
        if organisation := Organisation.objects.filter(name=name, legal_name="").first():
            set_particulars(organisation_id=organisation.pk, particulars=particulars)


def _add_people() -> None:
    hashed = make_password(PASSWORD)  # slow on purpose, so once for all of them
    for email, roles in LOGINS.items():
        is_staff = email in PLATFORM_ADMINISTRATORS
        user, _ = User.objects.update_or_create(
            email=email,
            defaults={"is_staff": is_staff},
            create_defaults={"password": hashed, "is_staff": is_staff},
        )
        for firm, role in roles:
            Membership.objects.get_or_create(user=user, organisation=_organisation(firm), role=role)


def _live(now: datetime, is_new: bool) -> int:
    """The diary and what is going on right now. Returns how many bookings are new."""
    today = now.date()
    epoch, first = (today, diary.first_day(today)) if is_new else _begun()
    history = History(now=now)
    pages = [planned for number, on in diary.days(epoch, first, today) for planned in diary.day(number, on)]
    if is_new:
        _close_for_repairs(now)
        pages += billed_months.tales(today)
        billed_months.tell_of_months(history, today)
        troubles.plan_troubles(history)
    history.tell([*present.charging_now(now), *pages] if _is_fresh(now, is_new) else pages)
    present.ensure_hold(now)
    present.ensure_requests(now)
    present.ensure_trip(now)
    present.ensure_waiting(now)
    prepaid.ensure_prepaid(now)
    return history.made


def _is_fresh(now: datetime, is_new: bool) -> bool:
    """Nobody has run the demo today: whoever starts it now finds trucks at the chargers."""
    return (
        is_new
        or not Booking.objects.filter(
            request_id__startswith=diary.KEY_PREFIX, updated_at__gt=now - timedelta(hours=8)
        ).exists()
    )


def _close_for_repairs(now: datetime) -> None:
    """One bay is out of use tomorrow."""
    evse = Evse.objects.select_related("depot").get(uid="DUB-3-2")
    start = (now + timedelta(days=1)).replace(hour=9, minute=0, second=0, microsecond=0)
    span = Period(start, start + timedelta(hours=8))
    close_evse(
        evse=evse,
        period=span,
        reason="The cable is being replaced.",
        actor=Actor.manager("manager@ladepark.example"),
        now=now,
    )


def _begun() -> tuple[date, date]:
    """The day from which the diary counts, which is when the demo was made, and the first that it covers."""
    of_day_0 = Booking.objects.filter(request_id__in=diary.keys_of_day(0))
    of_diary = Booking.objects.filter(request_id__startswith=diary.KEY_PREFIX)
    return of_day_0.earliest("starts_at").starts_at.date(), of_diary.earliest("starts_at").starts_at.date()


def _organisation(firm: Firm) -> Organisation:
    return Organisation.objects.get(name=firm.name)


def _document(data: dict[str, Any]) -> Document:
    return Document(data, is_text=False, locate=lambda place: (None, ".".join(str(part) for part in place)))
