"""The credit limit of an agreement: up to which debt a customer may book at an operator's depots.

What counts is all that it would owe the operator if everything went as planned, in the limit's currency: what is open of its
invoices, the records on no invoice yet, and what its live bookings were quoted, each with taxes; less what it has paid in, and
what its bookings have secured or wait for otherwise before they are promised.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import connection

from bookings.errors import CreditLimitReached
from bookings.models import LIVE, PaymentTerms
from depots import round_trips

# Two bookings of one customer at two depots of one operator lock nothing in common but this.
_LOCK_ACCOUNT = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_EXPOSURE = """
SELECT coalesce((
    SELECT sum(CASE i.kind WHEN 'invoice' THEN 1 ELSE -1 END * (i.total - coalesce((
        SELECT sum(p.amount) FROM bookings_payment p WHERE p.invoice_id = i.id
            AND NOT EXISTS (SELECT FROM bookings_paymentreturn taken_back WHERE taken_back.payment_id = p.id)
    ), 0)))
    FROM bookings_invoice i
    WHERE i.customer_id = %(customer)s AND i.supplier_id = %(operator)s AND i.currency = %(currency)s AND i.settled_at IS NULL
), 0) + coalesce((
    SELECT sum(c.before_taxes + c.taxes) FROM bookings_chargedetailrecord c
    WHERE c.customer_id = %(customer)s AND c.operator_id = %(operator)s AND c.currency = %(currency)s AND c.received IS NULL
        AND NOT EXISTS (SELECT FROM bookings_invoicedcdr billed WHERE billed.cdr_id = c.id)
), 0) + coalesce((
    SELECT sum((b.quote ->> 'total')::numeric) FROM bookings_booking b JOIN depots_depot d ON d.id = b.depot_id
    WHERE b.fleet_id = %(customer)s AND b.status = ANY(%(live)s) AND d.operator_id = %(operator)s
        AND b.quote ->> 'currency' = %(currency)s AND b.id IS DISTINCT FROM %(without)s::bigint
), 0) - coalesce((
    SELECT p.available FROM bookings_prepaidbalance p
    WHERE p.operator_id = %(operator)s AND p.customer_id = %(customer)s AND p.currency = %(currency)s
), 0) - coalesce((
    SELECT sum(CASE WHEN p.provider = 'prepaid' AND p.status = 'secured' THEN p.reserved ELSE p.amount END)
    FROM bookings_bookingpayment p
    WHERE p.operator_id = %(operator)s AND p.customer_id = %(customer)s AND p.currency = %(currency)s
        AND p.status IN ('planned', 'asked', 'secured') AND p.booking_id IS DISTINCT FROM %(without)s::bigint
), 0)
"""


def lock_account(operator_id: int, customer_id: int) -> None:
    """Until the transaction ends; behind the locks of places, bookings and claims."""
    round_trips.send(_LOCK_ACCOUNT, [f"account {operator_id} {customer_id}"])


def exposure(operator_id: int, customer_id: int, currency: str, *, without: int | None = None) -> Decimal:
    """What a customer may come to owe an operator, below zero where more is prepaid; `without` is a booking that does not count,
    nor what it has secured."""
    told: dict[str, Any] = {
        "customer": customer_id, "operator": operator_id, "currency": currency, "without": without,
        "live": [status.value for status in LIVE],
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_EXPOSURE, told)
        (found,) = cursor.fetchone()
    return Decimal(found)


def needs_approval(
    terms: PaymentTerms | None,
    *,
    operator_id: int,
    customer_id: int,
    quote: dict[str, Any],
    without: int | None = None,
) -> bool:
    """Whether a booking at this price goes beyond the limit and the depot is to be asked. Raises CreditLimitReached where it is
    refused. Locks the account, so that of two bookings the second counts the first.

    A price in another currency is not held against the limit.
    """
    if terms is None or terms.credit_limit is None:
        return False
    if quote and quote.get("currency") != terms.currency:
        return False
    lock_account(operator_id, customer_id)
    cost = Decimal(quote.get("total", 0))
    owed = exposure(operator_id, customer_id, terms.currency, without=without)
    taken = max(owed, Decimal(0))
    if owed + cost <= terms.credit_limit:
        return False
    if terms.beyond == PaymentTerms.Beyond.APPROVE:
        return True
    raise CreditLimitReached(
        f"Your credit limit with this operator is {terms.currency} {terms.credit_limit:.2f}. Open invoices,"
        f" charging that is not billed yet and live bookings come to {terms.currency} {taken:.2f} already; this booking would"
        f" add {terms.currency} {cost:.2f}."
    )
