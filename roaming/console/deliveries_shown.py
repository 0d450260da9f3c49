"""What waits for a partner, and what it has got, under the names people know the objects by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Manager, QuerySet

from bookings.models import Booking, BookingOption, BookingRequest, ChargeDetailRecord, Invoice, Tariff, Token
from depots.models import Depot, Evse
from roaming.console.operations import delivery_version
from roaming.models import Delivery, GuestSession, Partner

Kind = Delivery.Kind


@dataclass(frozen=True)
class Named:
    """The rows of a kind of delivery, what they are called, and which of them somebody means by a name."""

    rows: Manager[Any]
    name: Callable[[Any], str]
    field: str
    related: tuple[str, ...] = ()

    def names(self, ids: Collection[int]) -> dict[int, str]:
        found = self.rows.filter(pk__in=ids).select_related(*self.related)
        return {row.pk: self.name(row) for row in found}

    def called(self, words: str) -> list[int]:
        found = self.rows.filter(**{f"{self.field}__iexact": words})
        return list(found.values_list("pk", flat=True)[:100])


# A kind without an entry is shown by its number.
NAMED: dict[Kind, Named] = {
    Kind.BOOKING: Named(Booking.objects, lambda row: str(row.reference), "reference"),
    Kind.REQUEST: Named(
        BookingRequest.objects,
        lambda row: f"{row.booking.reference}, {row.get_kind_display().lower()}",
        "booking__reference",
        ("booking",),
    ),
    Kind.BOOKING_LOCATION: Named(BookingOption.objects, lambda row: row.code, "code"),
    Kind.TARIFF: Named(Tariff.objects, lambda row: row.code, "code"),
    Kind.LOCATION: Named(Depot.objects, lambda row: row.location_id, "location_id"),
    Kind.EVSE: Named(Evse.objects, lambda row: row.uid, "uid"),
    Kind.TOKEN: Named(Token.objects, lambda row: f"…{row.uid[-4:]}", "uid"),
    Kind.SESSION: Named(GuestSession.objects, lambda row: f"session {row.code}", "code"),
    Kind.CDR: Named(ChargeDetailRecord.objects, lambda row: row.code, "code"),
    Kind.INVOICE_RECORD: Named(Invoice.objects, lambda row: row.number, "number"),
}


@dataclass(frozen=True)
class ShownDelivery:
    """One object of a partner's, with the version its buttons send."""

    row: Delivery
    name: str

    @property
    def version(self) -> int:
        return delivery_version(self.row)

    @property
    def waits(self) -> bool:
        return self.row.next_try_at is not None

    @property
    def may_be_sent_again(self) -> bool:
        return self.row.kind != Kind.REQUEST


def waiting(partner: Partner) -> QuerySet[Delivery]:
    """The one that waits longest first."""
    rows: QuerySet[Delivery] = partner.deliveries.filter(next_try_at__isnull=False)
    return rows.order_by("waiting_since", "pk")


def all_of(partner: Partner, *, kind: str = "", words: str = "") -> QuerySet[Delivery]:
    """What a partner was ever to have, the newest first; of one kind, of objects of one name."""
    rows: QuerySet[Delivery] = partner.deliveries.order_by("-delivered_at", "-pk")
    if kind:
        rows = rows.filter(kind=kind)
    if words:
        found = Delivery.objects.none()
        for each in [Kind(kind)] if kind else Kind:
            found = found | rows.filter(kind=each, object_id__in=_called(each, words))
        rows = found.order_by("-delivered_at", "-pk")
    return rows


def named(rows: Iterable[Delivery]) -> list[ShownDelivery]:
    """Rows with their objects' names; a statement a kind."""
    found = list(rows)
    names: dict[tuple[str, int], str] = {}
    for kind in {row.kind for row in found}:
        ids = [row.object_id for row in found if row.kind == kind]
        of_kind = NAMED.get(Kind(kind))
        names |= {(kind, pk): name for pk, name in (of_kind.names(ids) if of_kind else {}).items()}
    return [ShownDelivery(row, names.get((row.kind, row.object_id), str(row.object_id))) for row in found]


def _called(kind: Kind, words: str) -> list[int]:
    of_kind = NAMED.get(kind)
    if of_kind is None or (of_kind.field == "pk" and not words.isdigit()):
        return []
    return of_kind.called(words)
