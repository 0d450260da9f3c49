"""Invoice reconciliation, both interfaces at one address, since either side may invoice (OCPI 2.3.0 edition 2,
mod_invoice_reconciliation).

Sender: the records of our invoices that concern the caller, and one by itself beyond the specification. Receiver: records that
partners send; new ones are POSTed, corrected ones PUT.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from bookings.models import InvoiceReconciliationRecord
from depots.models import Organisation
from roaming.mirror import partner_invoice_records
from roaming.mirror.kept_objects import INVOICE_RECORD
from roaming.mirror.values import ToldInvoiceRecord
from roaming.models import PartnerObject
from roaming.ocpi.auth import Caller, caller_of, tells_of
from roaming.ocpi.client_owned import Asked, ClientOwned, Held, answer, strict_address
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError, ok, read_object
from roaming.ocpi.paging import Page
from roaming.ocpi.routes import Routes
from roaming.ocpi.wire_object import Read, UnreadableError
from roaming.outbound import pulls
from roaming.published_invoices import invoice_records

routes = Routes()
METHODS = ["GET", "PUT", "DELETE"]


class InvoiceRecords(ClientOwned[ToldInvoiceRecord]):
    kind = INVOICE_RECORD
    role = ""
    methods = METHODS

    def __init__(self, to: Organisation | None) -> None:
        self._to = to

    def check_addressed(self, caller: Caller) -> None:
        """Whose it is was looked up before."""

    def read(self, asked: Asked, raw: dict[str, Any]) -> Read[ToldInvoiceRecord]:
        return asked.dialect.invoice_records.read(raw)

    def names(self, told: ToldInvoiceRecord) -> tuple[str, ...]:
        return (told.id,)

    def adopt(self, asked: Asked, read: Read[ToldInvoiceRecord], raw: dict[str, Any]) -> bool:
        adopted = partner_invoice_records.adopt_record(asked.partner, read, raw, to=self._to, now=asked.now)
        if adopted.lacks_cdrs:
            pulls.soon(asked.partner, lists=("cdr",), now=asked.now)
        return adopted.is_new

    def withdraw(self, asked: Asked, held: Held) -> None:
        assert isinstance(held, PartnerObject)
        partner_invoice_records.withdraw_record(asked.partner, held)


@routes.get()
def records(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    page = Page.of(request)
    return page.answer(
        page.changed_in(_seen(request), F("last_updated")),
        lambda found: [dialect.invoice_records.write(each) for each in found],
    )


@routes.post()
def receive(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    """A new one; one that is known is taken as what it was, and refused as anything else."""
    caller, raw, now = caller_of(request), read_object(request), timezone.now()
    partner, to = caller.partner, _addressed(caller)
    read = dialect.invoice_records.read(raw)
    told = read.value
    if not tells_of(caller, told.country_code, told.party_id):
        raise UnreadableError("party_id", "is not one of your parties")
    with transaction.atomic():
        adopted = partner_invoice_records.adopt_record(partner, read, raw, to=to, is_new=True, now=now)
        if adopted.lacks_cdrs:
            pulls.soon(partner, lists=("cdr",), now=now)
    return ok(http=201 if adopted.is_new else 200)


@routes.operation(METHODS, "/{path:rest}")
def one(request: HttpRequest, dialect: Dialect, rest: str) -> HttpResponse:
    caller = caller_of(request)
    parts = [part for part in rest.split("/") if part]
    if len(parts) == 1 and request.method == "GET":
        return _of_ours(request, dialect, parts[0])
    module = InvoiceRecords(_addressed(caller))
    address = strict_address(caller, module, parts)
    return answer(request, module, Asked(caller.partner, dialect, address, timezone.now()))


def _of_ours(request: HttpRequest, dialect: Dialect, code: str) -> HttpResponse:
    found = _seen(request).filter(code__iexact=code).first()
    if found is None:
        raise RefusalError(Code.CLIENT_ERROR, "There is no such record for you.", http=404)
    return ok(dialect.invoice_records.write(found))


def _seen(request: HttpRequest) -> QuerySet[InvoiceReconciliationRecord]:
    caller = caller_of(request)
    return invoice_records([caller.partner], owner=_addressed(caller))


def _addressed(caller: Caller) -> Organisation | None:
    """The organisation of ours that a request is addressed to, in either role. Raises RefusalError (404) for a party that is
    not ours."""
    if caller.to_party is None:
        return None
    country, party = caller.to_party
    is_named = Q(cpo_party_id__iexact=party) | Q(emsp_party_id__iexact=party)
    found = Organisation.objects.filter(is_named, is_partner=False, country_code__iexact=country).first()
    if found is None:
        raise RefusalError(Code.INVALID, "OCPI-to-party-id: no such party on this platform.", http=404)
    return found
