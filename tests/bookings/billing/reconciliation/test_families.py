"""Which record somebody means who names a code that several have."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bookings.billing.reconciliation.families import Families, Family, Member
from bookings.models import InvoiceReconciliationRecord

ENDED = datetime(2029, 11, 5, tzinfo=UTC)


def family(number: int, operator_id: int, party: str) -> Family:
    one = Member(
        number, "1001", None, Decimal(1), "EUR", operator_id, party, 9, ENDED, "[]", "", "", "NLD", "UTC", None, None, None,
        None,
    )  # fmt: skip
    return Family([one])


@pytest.mark.parametrize(
    ("operator_id", "party", "found"),
    [
        (7, "FR*TWO", 2),
        (7, "fr*cpo", 1),
        (7, "FR*NEW", None),  # a party's invoice is about its own records alone
        (7, "", 1),
        (8, "", 3),
        (5, "", 1),  # nobody's: an invoice about somebody else's record
        (None, "", 1),
    ],
)
def test_a_code_is_that_of_whoever_issued_it(operator_id: int | None, party: str, found: int | None) -> None:
    known = Families()
    for one in (family(1, 7, "FR*CPO"), family(2, 7, "FR*TWO"), family(3, 8, "DE*OPS")):
        known.add(["1001"], one)

    meant = known.of("1001", operator_id, party)
    assert (meant.latest.id if meant else None) == found
    told = InvoiceReconciliationRecord(owner_id=operator_id, owner_party=party, counterparty_id=9)
    assert known.named_by(told, "1001") is meant
    told = InvoiceReconciliationRecord(owner_id=9, counterparty_id=8, is_reverse=True)
    assert known.named_by(told, "1001").latest.id == 3  # type: ignore[union-attr]
