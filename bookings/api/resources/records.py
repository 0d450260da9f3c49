"""/sessions, /cdrs and /invoices: what the fleet has charged, what each visit costs, and what is billed for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from pydantic import BaseModel

from bookings.api.authentication import caller_of
from bookings.api.fields import Moment
from bookings.api.paging import Page, paged
from bookings.api.problems import ApiResponse
from bookings.api.schemas import List
from bookings.models import BookingSession, ChargeDetailRecord, Invoice
from depots.models import ChargingSession
from depots.periods import utc_text

router = Router()


class SessionObject(BaseModel):
    id: int
    booking: int | None
    depot: str
    evse: str | None
    started_at: Moment
    ended_at: Moment | None
    energy_kwh: float | None
    power_kw: float | None
    soc: float | None


class CdrObject(BaseModel):
    """Amounts are in the currency, negative in what is credited."""

    id: str
    booking: int | None
    session: int | None
    kind: str
    operator: str
    depot: str
    vehicle: str | None
    starts_at: Moment
    ends_at: Moment
    energy_kwh: float
    currency: str
    before_taxes: float
    taxes: float
    credits: str | None
    replaces: str | None
    issued_at: Moment


class InvoiceObject(BaseModel):
    id: int
    number: str
    kind: str
    operator: str
    month: str
    currency: str
    before_taxes: float
    taxes: float
    total: float
    issued_on: date
    due_on: date
    settled_at: Moment | None
    corrects: str | None


@router.get("/sessions", tags=["sessions"], response=List[SessionObject])
def sessions(request: HttpRequest, query: Query[Page]) -> HttpResponse:
    """At depots of this installation: of the fleet's bookings, and others that it pays for."""
    fleet = caller_of(request).organisation
    booked = BookingSession.objects.filter(session=OuterRef("pk"), booking__fleet=fleet)
    billed = ChargeDetailRecord.objects.filter(session=OuterRef("pk"), customer=fleet)
    rows = ChargingSession.objects.filter(Exists(booked) | Exists(billed))
    rows = rows.select_related("charger__depot", "evse").annotate(
        own_booking=Subquery(booked.values("booking")[:1])
    )
    return _listed(rows, query, ["pk"], _session)


@router.get("/cdrs", tags=["cdrs"], response=List[CdrObject])
def cdrs(request: HttpRequest, query: Query[Page]) -> HttpResponse:
    """What was charged, not come for or cancelled too late, with its price; partners' records too."""
    fleet = caller_of(request).organisation
    rows = ChargeDetailRecord.objects.filter(customer=fleet)
    rows = rows.select_related("operator", "depot", "vehicle", "credits", "replaces")
    return _listed(rows, query, ["pk"], _cdr)


@router.get("/invoices", tags=["invoices"], response=List[InvoiceObject])
def invoices(request: HttpRequest, query: Query[Page]) -> HttpResponse:
    """Invoices and credit notes that the organisation was issued, as a customer."""
    rows = Invoice.objects.filter(customer=caller_of(request).organisation)
    return _listed(rows.select_related("supplier", "corrects"), query, ["pk"], _invoice)


def _listed(
    rows: QuerySet[Any], query: Page, order: list[str], show: Callable[[Any], dict[str, Any]]
) -> HttpResponse:
    return ApiResponse(json.dumps(paged(rows, query, order, show), ensure_ascii=False))


def _session(row: Any) -> dict[str, Any]:
    return {
        "id": row.pk,
        "booking": row.own_booking,
        "depot": row.charger.depot.code,
        "evse": row.evse.uid if row.evse is not None else None,
        "started_at": utc_text(row.started_at),
        "ended_at": _moment(row.ended_at),
        "energy_kwh": row.energy_wh / 1000 if row.energy_wh is not None else None,
        "power_kw": row.power_w / 1000 if row.power_w is not None else None,
        "soc": row.soc_percent,
    }


def _cdr(row: Any) -> dict[str, Any]:
    return {
        "id": row.code,
        "booking": row.booking_id,
        "session": row.session_id,
        "kind": row.kind,
        "operator": row.operator.name,
        "depot": row.depot.code,
        "vehicle": row.vehicle.plate if row.vehicle is not None else row.plate or None,
        "starts_at": utc_text(row.starts_at),
        "ends_at": utc_text(row.ends_at),
        "energy_kwh": row.energy_wh / 1000,
        "currency": row.currency,
        "before_taxes": float(row.before_taxes),
        "taxes": float(row.taxes),
        "credits": row.credits.code if row.credits is not None else None,
        "replaces": row.replaces.code if row.replaces is not None else None,
        "issued_at": utc_text(row.issued_at, timespec="milliseconds"),
    }


def _invoice(row: Any) -> dict[str, Any]:
    return {
        "id": row.pk,
        "number": row.number,
        "kind": row.kind,
        "operator": row.supplier.name,
        "month": f"{row.month:%Y-%m}",
        "currency": row.currency,
        "before_taxes": float(row.before_taxes),
        "taxes": float(row.taxes),
        "total": float(row.total),
        "issued_on": row.issued_on.isoformat(),
        "due_on": row.due_on.isoformat(),
        "settled_at": _moment(row.settled_at),
        "corrects": row.corrects.number if row.corrects is not None else None,
    }


def _moment(moment: datetime | None) -> str | None:
    return utc_text(moment) if moment is not None else None
