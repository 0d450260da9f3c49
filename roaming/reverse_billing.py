"""Who writes the invoices between us and a partner, by its switch `reverse_billing`."""

from __future__ import annotations

from bookings.billing.reverse_billing import ReverseBilling
from roaming.models import Partner

AT_OURS, AT_THEIRS = {"at_ours", "both"}, {"at_theirs", "both"}


def agreed() -> ReverseBilling:
    rows = Partner.objects.filter(switches__has_key="reverse_billing")
    told = dict(rows.values_list("organisation", "switches__reverse_billing"))
    return ReverseBilling(
        customers=frozenset(pk for pk, where in told.items() if where in AT_OURS),
        suppliers=frozenset(pk for pk, where in told.items() if where in AT_THEIRS),
    )
