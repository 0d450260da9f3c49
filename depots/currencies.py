"""How many decimals the amounts of a currency have (ISO 4217, list one), and amounts written with them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

_OTHER_THAN_TWO = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_PLACES = {code: places for places, codes in _OTHER_THAN_TWO.items() for code in codes.split()}


def decimals(currency: str) -> int:
    return _PLACES.get(currency, 2)


def rounded(amount: Decimal, currency: str) -> Decimal:
    """As the currency's own amounts are written, half up."""
    return amount.quantize(Decimal(1).scaleb(-decimals(currency)), ROUND_HALF_UP)


def rounded_to(total: Decimal, amounts: Sequence[Decimal], currency: str) -> list[Decimal]:
    """Amounts with more decimals, as they are written above their total: so that they add up to it, the largest takes up what
    rounding lost. Those that do not add up before either are left as they are."""
    written = [rounded(amount, currency) for amount in amounts]
    if written and rounded(sum(amounts, Decimal()), currency) == rounded(total, currency):
        largest = max(range(len(written)), key=lambda n: abs(written[n]))
        written[largest] += rounded(total, currency) - sum(written)
    return written
