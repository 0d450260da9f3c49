"""Numbers without a gap: of charge detail records, and of invoices and credit notes by year."""

from __future__ import annotations

from django.db import connection, transaction

# The first number inserts its row, and whoever comes meanwhile waits for it like for any other.
_NEXT = """
INSERT INTO bookings_numbersequence AS sequence (organisation_id, series, last) VALUES (%s, %s, 1)
ON CONFLICT (organisation_id, series) DO UPDATE SET last = sequence.last + 1
RETURNING last
"""


def next_number(organisation_id: int, series: str) -> int:
    """One more than the last of its series; the first is 1.

    The row stays locked until the transaction ends, so that a number is taken only with what it numbers: take it as the
    last lock of all. Raises TransactionManagementError outside of a transaction, where it could be lost.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("A number is taken with what it numbers, or not at all.")
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, [organisation_id, series])
        (number,) = cursor.fetchone()
    return int(number)
