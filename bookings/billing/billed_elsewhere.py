"""Records that others invoice, as invoices that were entered or announced name them: no run bills those, nor what followed
from them, a credit or the record in its place. A part of statements: rows `named (id)`, after WITH RECURSIVE.
"""

from __future__ import annotations

# Of `%(operators)s`. What stands on an invoice of ours has its credit note from us, whoever names it besides.
_NAMED = """
named (id) AS (
    SELECT c.id
    FROM ({told}) AS told (operator_id, party, customer_id, codes)
    CROSS JOIN LATERAL jsonb_array_elements_text(told.codes) AS each (code)
    JOIN bookings_chargedetailrecord c ON c.operator_id = told.operator_id AND upper(c.code) = upper(each.code)
    WHERE c.customer_id = coalesce(told.customer_id, c.customer_id) AND c.party = coalesce(told.party, c.party)
        AND NOT EXISTS (SELECT FROM bookings_invoicedcdr billed WHERE billed.cdr_id = c.id)
    UNION
    SELECT c.id FROM named JOIN bookings_chargedetailrecord c ON c.credits_id = named.id OR c.replaces_id = named.id
)"""
NAMED_BY_CUSTOMERS = _NAMED.format(
    told="""
        SELECT i.recipient_id, NULL, i.sender_id, i.cdr_codes FROM bookings_incominginvoice i
        WHERE i.recipient_id = ANY(%(operators)s) AND i.is_self_billed AND i.state <> 'withdrawn'
            AND i.sender_id IS NOT NULL"""
)
NAMED_BY_OPERATORS = _NAMED.format(
    told="""
        SELECT i.sender_id, NULL, i.recipient_id, i.cdr_codes FROM bookings_incominginvoice i
        WHERE i.sender_id = ANY(%(operators)s) AND NOT i.is_self_billed AND i.state <> 'withdrawn'
        UNION ALL
        SELECT r.owner_id, upper(r.owner_party), NULL, r.cdr_codes FROM bookings_invoicereconciliationrecord r
        WHERE r.owner_id = ANY(%(operators)s) AND NOT r.is_reverse AND NOT r.is_withdrawn"""
)
