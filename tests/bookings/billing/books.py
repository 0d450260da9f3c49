"""What must hold of the books whatever has happened: rows that break a rule, found by plain SQL and by counting again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection

from bookings.actors import PEOPLE
from bookings.billing.priced_visits import price_cancellation, price_no_show, price_session
from bookings.models import LIVE, Booking, BookingStatus, ChargeDetailRecord, Invoice, TariffVersion
from bookings.pricing.price import price
from bookings.pricing.tariff_content import TariffContent
from bookings.pricing.visits import BookedSlot, ChargingPeriod, SessionUse, Visit
from bookings.rules import credit
from bookings.rules.permissions import was_late_cancellation
from depots.models import ChargingSession, Organisation
from depots.periods import Period

# Each gives rows that break the rule. `standing` are records that are neither credits nor credited.
RULES = {
    "a session, no-show or cancellation has one record that stands": """
        SELECT kind, session_id, booking_id, count(*) FROM standing
        GROUP BY kind, session_id, CASE WHEN session_id IS NULL THEN booking_id END, booking_id HAVING count(*) > 1""",
    "a booking is charged for once": """
        SELECT booking_id, count(*) FROM standing WHERE bill -> 'lines' @> '[{"use": "booking"}]' OR kind <> 'session'
        GROUP BY booking_id HAVING count(*) > 1""",
    "a record is the sum of its lines, in its currency's decimals": """
        SELECT c.code, c.before_taxes, c.taxes, sums.* FROM record c, LATERAL (
            SELECT coalesce(sum((line ->> 'before_taxes')::numeric), 0) AS net, coalesce(sum((
                SELECT sum((tax ->> 'amount')::numeric) FROM jsonb_array_elements(line -> 'taxes') tax
            )), 0) AS tax FROM jsonb_array_elements(c.bill -> 'lines') line
        ) sums
        WHERE abs(c.before_taxes) <> round(sums.net, 2) OR abs(c.before_taxes + c.taxes) <> round(sums.net + sums.tax, 2)""",
    "a record's parts by rate are what it is before taxes": """
        SELECT code, before_taxes, net_by_rate FROM record WHERE before_taxes <> coalesce((
            SELECT sum((part ->> 1)::numeric) FROM jsonb_array_elements(net_by_rate) part), 0)""",
    "a record has the currency of its bill and of its tariffs": """
        SELECT c.code, c.currency, v.currency FROM record c
        JOIN bookings_tariffversion v ON v.id IN (c.charging_tariff_id, c.booking_tariff_id)
        WHERE c.currency <> c.bill ->> 'currency' OR (c.currency <> v.currency AND NOT c.flags @> '["other_currency"]')""",
    "a credit takes back all of its record and nothing else": """
        SELECT c.code FROM record c JOIN record o ON o.id = c.credits_id
        WHERE (c.before_taxes, c.taxes, c.currency, c.customer_id, c.operator_id, c.depot_id, c.ends_at, c.kind, c.code)
            IS DISTINCT FROM (-o.before_taxes, -o.taxes, o.currency, o.customer_id, o.operator_id, o.depot_id, o.ends_at,
            o.kind, o.code || '-C') OR o.credits_id IS NOT NULL""",
    "only what was credited is issued anew": """
        SELECT c.code FROM record c WHERE c.replaces_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM record x WHERE x.credits_id = c.replaces_id)""",
    "an invoice bills records of its own supplier, customer, currency and month": """
        SELECT i.number, c.code FROM bookings_invoicedcdr b JOIN record c ON c.id = b.cdr_id
        JOIN bookings_invoice i ON i.id = b.invoice_id JOIN depots_depot d ON d.id = c.depot_id
        WHERE (c.operator_id, c.customer_id, c.currency) <> (i.supplier_id, i.customer_id, i.currency)
            OR date_trunc('month', c.ends_at AT TIME ZONE d.time_zone)::date <> i.month OR c.customer_id = c.operator_id""",
    "a credit note bills credits of records on the invoice it corrects, and an invoice none of those": """
        SELECT i.number, c.code FROM bookings_invoicedcdr b JOIN record c ON c.id = b.cdr_id
        JOIN bookings_invoice i ON i.id = b.invoice_id LEFT JOIN bookings_invoicedcdr o ON o.cdr_id = c.credits_id
        WHERE i.corrects_id IS DISTINCT FROM CASE WHEN o.invoice_id <> i.id THEN o.invoice_id END""",
    "an invoice is the sum of its records": """
        SELECT i.number, i.before_taxes, i.cdr_count, sum(c.before_taxes), count(*) FROM bookings_invoice i
        JOIN bookings_invoicedcdr b ON b.invoice_id = i.id JOIN record c ON c.id = b.cdr_id GROUP BY i.id
        HAVING i.before_taxes <> abs(sum(c.before_taxes)) OR i.cdr_count <> count(*)""",
    "an invoice is about something": """
        SELECT i.number FROM bookings_invoice i WHERE NOT EXISTS (
            SELECT FROM bookings_invoicedcdr b WHERE b.invoice_id = i.id)""",
    "an invoice is the sum of its parts by rate, and taxes each part": """
        SELECT i.number FROM bookings_invoice i, LATERAL (
            SELECT sum((part ->> 'before_taxes')::numeric) AS net, sum((part ->> 'taxes')::numeric) AS tax,
                bool_and((part ->> 'taxes')::numeric = round(
                    (part ->> 'before_taxes')::numeric * (part ->> 'rate')::numeric / 100, 2)) AS is_right
            FROM jsonb_array_elements(i.tax_breakdown) part
        ) sums WHERE (i.before_taxes, i.taxes, true) IS DISTINCT FROM (sums.net, sums.tax, sums.is_right)""",
    "an invoice that taxes by rate has of each rate what its records have": """
        SELECT i.number, rate, told.net, counted.net FROM bookings_invoice i
        CROSS JOIN LATERAL (
            SELECT (part ->> 'rate')::numeric AS rate, (part ->> 'before_taxes')::numeric AS net
            FROM jsonb_array_elements(i.tax_breakdown) part WHERE part ->> 'category' = 'S') told
        CROSS JOIN LATERAL (
            SELECT abs(sum((part ->> 1)::numeric)) AS net FROM bookings_invoicedcdr b JOIN record c ON c.id = b.cdr_id,
                jsonb_array_elements(c.net_by_rate) part
            WHERE b.invoice_id = i.id AND (part ->> 0)::numeric = told.rate) counted
        WHERE abs(told.net - coalesce(counted.net, 0)) > 0.01 AND NOT i.tax_breakdown @@ '$.category == "AE"'""",
    "numbers of records have no gap": """
        SELECT operator_id, count(*), max(number) FROM record WHERE received IS NULL GROUP BY operator_id
        HAVING (count(*), count(DISTINCT number), 1) <> (max(number), max(number), min(number))""",
    "numbers of invoices have no gap": """
        SELECT issuer_id, kind, year, count(*), max(sequence) FROM bookings_invoice GROUP BY issuer_id, kind, year
        HAVING (count(*), count(DISTINCT sequence), 1) <> (max(sequence), max(sequence), min(sequence))""",
    "a number says its year and place": """
        SELECT number FROM bookings_invoice WHERE extract(year FROM issued_on) <> year OR number <>
            CASE kind WHEN 'invoice' THEN 'INV-' ELSE 'CN-' END || year || '-' || lpad(sequence::text, 6, '0')""",
    "what was invoiced less what was credited, and what is unbilled, is what was recorded": """
        SELECT c.operator_id, c.customer_id, c.currency, sum(c.before_taxes) FROM record c WHERE c.customer_id <> c.operator_id
        GROUP BY c.operator_id, c.customer_id, c.currency
        HAVING sum(c.before_taxes) <> sum(c.before_taxes) FILTER (WHERE NOT EXISTS (
            SELECT FROM bookings_invoicedcdr b WHERE b.cdr_id = c.id)) + coalesce((
            SELECT sum(CASE i.kind WHEN 'invoice' THEN i.before_taxes ELSE -i.before_taxes END) FROM bookings_invoice i
            WHERE (i.supplier_id, i.customer_id, i.currency) = (c.operator_id, c.customer_id, c.currency)), 0)""",
    "an invoice is settled when nothing of it is open": """
        SELECT i.number, i.total, i.settled_at, sum(p.amount) FROM bookings_invoice i
        LEFT JOIN bookings_payment p ON p.invoice_id = i.id GROUP BY i.id
        HAVING (i.settled_at IS NOT NULL) <> (coalesce(sum(p.amount), 0) >= i.total)""",
    "what a credit note is set off by, it sets off of its invoice": """
        SELECT n.number FROM bookings_invoice n JOIN bookings_invoice i ON i.id = n.corrects_id, LATERAL (
            SELECT coalesce(sum(amount) FILTER (WHERE invoice_id = n.id AND reference = i.number), 0) AS here,
                coalesce(sum(amount) FILTER (WHERE invoice_id = i.id AND reference = n.number), 0) AS there
            FROM bookings_payment WHERE means = 'credit_note') off WHERE off.here <> off.there""",
    "a reconciliation record names the records of its invoice": """
        SELECT i.number FROM bookings_invoice i LEFT JOIN bookings_invoicereconciliationrecord r ON r.invoice_id = i.id
        WHERE (r.owner_id, r.invoice_number, r.cdr_codes) IS DISTINCT FROM (i.issuer_id, i.number, (
            SELECT jsonb_agg(c.code ORDER BY c.id) FROM bookings_invoicedcdr b JOIN record c ON c.id = b.cdr_id
            WHERE b.invoice_id = i.id))""",
    "of disputes that were accepted the record was credited, and none waits on a record that was": """
        SELECT c.code, d.outcome, c.kind FROM bookings_dispute d JOIN record c ON c.id = d.cdr_id
        WHERE d.outcome <> 'rejected'
            AND (d.outcome = 'accepted') <> EXISTS (SELECT FROM record x WHERE x.credits_id = c.id)""",
}
_WITH = """WITH record AS (SELECT * FROM bookings_chargedetailrecord),
    standing AS (SELECT c.* FROM record c WHERE credits_id IS NULL AND NOT EXISTS (
        SELECT FROM record x WHERE x.credits_id = c.id)) """
# What may come later to a row that was issued.
_LATER = {
    "bookings_chargedetailrecord": "",
    "bookings_invoice": "- 'sent_at' - 'settled_at'",
    "bookings_payment": "",
}


def faults(now: datetime) -> list[str]:
    """Sentences, none where the books balance. `now` is later than all that happened."""
    return [*_broken_rules(), *_ended(now), *_quotes(), *_exposure()]


def issued() -> dict[str, str]:
    """A hash of every row that was issued, by its table and id."""
    found = {}
    with connection.cursor() as cursor:
        for table, later in _LATER.items():
            cursor.execute(f"SELECT id, md5((to_jsonb(t) {later})::text) FROM {table} t")
            found |= {f"{table} {pk}": digest for pk, digest in cursor.fetchall()}
    return found


def _broken_rules() -> Iterator[str]:
    with connection.cursor() as cursor:
        for rule, sql in RULES.items():
            cursor.execute(_WITH + sql)
            for row in cursor.fetchall():
                yield f"not true: {rule}: {row}"


def _ended(now: datetime) -> Iterator[str]:
    """Everything that ended has the record that is due by what is known, or a reason for having none."""
    sessions = ChargingSession.objects.filter(ended_at__isnull=False, announced_at__isnull=False)
    for session in sessions:
        records = list(ChargeDetailRecord.objects.filter(session=session, credits=None).order_by("id"))
        due = price_session(session, now=now)
        yield from _judged(f"session {session.pk}", records, due)
    for booking in Booking.objects.select_related("fleet", "depot__operator", "option", "evse", "vehicle"):
        records = list(booking.cdrs.filter(session=None, credits=None).order_by("id"))
        due, end = None, booking.events.filter(kind="status").order_by("id").last()
        came = ChargeDetailRecord.objects.filter(booking=booking, kind="session").exists()
        if booking.status == BookingStatus.NO_SHOW and not booking.events.filter(kind="waived").exists():
            due = price_no_show(booking)
        elif end is not None and was_late_cancellation(booking, end):
            due = price_cancellation(booking, at=end.at)
        if not (came and booking.status == BookingStatus.NO_SHOW):
            yield from _judged(f"{booking.status} booking {booking.pk}", records, due)


def _judged(name: str, records: list[ChargeDetailRecord], due: object) -> Iterator[str]:
    latest = records[-1] if records else None
    taken_back = getattr(latest, "credited_by", None)
    people = {*PEOPLE, "command"}
    by_a_person = latest is not None and (
        latest.issued_by_kind in people or (taken_back and taken_back.issued_by_kind in people)
    )
    if by_a_person:
        return
    stands = latest is not None and taken_back is None
    if stands != (due is not None and due.is_due):
        yield f"{name}: {'a' if stands else 'no'} record stands; due is {due and due.bill.total}"
    elif stands and latest.bill != due.bill.to_json():
        lines = [
            [(line["use"], line["dimension"], line["quantity"], line["price"]) for line in bill["lines"]]
            for bill in (latest.bill, due.bill.to_json())
        ]
        yield f"{name}: {latest.code} has {lines[0]}, and {lines[1]} is due"


def _quotes() -> Iterator[str]:
    """A kept quote is what its own tariffs ask for what it assumes: the period that is booked, unless the depot moved it or the
    vehicle charges since."""
    for booking in Booking.objects.exclude(quote={}).select_related("depot"):
        kept = {"charging": booking.charging_tariff_id, "booking": booking.booking_tariff_id}
        said = {
            kind: TariffContent.from_json(TariffVersion.objects.get(pk=pk).content)
            for kind, pk in kept.items()
            if pk
        }
        assumed = booking.quote["assumes"]
        begin, charged_at, end = (
            datetime.fromisoformat(assumed[name]) for name in ("starts_at", "charged_at", "ends_at")
        )
        power = Decimal(assumed["power_w"]) / 1000 if assumed["power_w"] else None
        energy = Decimal(booking.quote["energy_wh"]) / 1000
        periods = [ChargingPeriod(begin, energy, charging_s=_s(charged_at - begin), power_kw=power)]
        if charged_at < end:
            periods.append(ChargingPeriod(charged_at, parking_s=_s(end - charged_at)))
        visit = Visit(SessionUse(tuple(periods), end), BookedSlot(Period(begin, end)))
        if price(visit, booking.depot.zone, **said).to_json() != booking.quote["bill"]:
            yield f"booking {booking.pk}: its quote is not what its tariffs ask"
        is_moved = booking.changed_by_depot_at is not None or booking.visits.exists()
        if Period(begin, end) != booking.period and not is_moved:
            yield f"booking {booking.pk}: quoted for {begin}–{end}, booked for {booking.period}"


def _exposure() -> Iterator[str]:
    """Counted again, one row at a time."""
    for operator in Organisation.objects.filter(depots__isnull=False).distinct():
        for customer in Organisation.objects.exclude(pk=operator.pk):
            for currency in ("EUR", "CHF"):
                told = credit.exposure(operator.pk, customer.pk, currency)
                counted = _owed(operator, customer, currency)
                if told != counted:
                    yield f"{customer} owes {operator} {currency} {counted}; the limit counts {told}"


def _owed(operator: Organisation, customer: Organisation, currency: str) -> Decimal:
    owed = Decimal(0)
    for invoice in Invoice.objects.filter(
        supplier=operator, customer=customer, currency=currency, settled_at=None
    ):
        still_open = invoice.total - sum(payment.amount for payment in invoice.payments.all())
        owed += still_open if invoice.kind == "invoice" else -still_open
    records = ChargeDetailRecord.objects.filter(
        operator=operator, customer=customer, currency=currency, invoiced=None
    )
    owed += sum((cdr.before_taxes + cdr.taxes for cdr in records), Decimal(0))
    live = Booking.objects.filter(fleet=customer, depot__operator=operator, status__in=LIVE)
    return owed + sum(
        (Decimal(b.quote["total"]) for b in live if b.quote.get("currency") == currency), Decimal(0)
    )


def _s(span: timedelta) -> int:
    return round(span.total_seconds())
