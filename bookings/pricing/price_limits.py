"""The least and the most a charging session costs, before and after taxes each for itself; the tax is the difference."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from bookings.pricing.passes import PassRules
from bookings.pricing.reckoning import LimitDifference, Reckoning
from bookings.pricing.tariff_content import PriceLimit, TariffContent, TaxIncluded

# By rate; None where only an amount is known.
Rates = dict[str | None, Fraction]


def apply_limits(reckoning: Reckoning, content: TariffContent, rules: PassRules | None) -> None:
    """Add what the tariff's limits change of the charging so far; nothing where they do not bite."""
    if content.min_price is None and content.max_price is None:
        return
    money = reckoning.charging()
    if _is_within(money.net, money.gross, reckoning.scale, content):
        return
    net = reckoning.exact(money.net)
    taxes = {rate: reckoning.exact(tax) for rate, tax in money.taxes.items()} if net else _only_rate(rules)
    bounded_net, bounded_tax = _bounded(net, taxes, content)
    tax = sum(taxes.values(), Fraction())
    if (bounded_net, bounded_tax) == (net, tax):
        return
    shares = _shares(taxes, bounded_tax)
    differences = {rate: bounded_tax * share - taxes.get(rate, 0) for rate, share in shares.items()}
    reckoning.add_limit(LimitDifference(bounded_net - net, differences))


def _is_within(net: int, gross: int, scale: int, content: TariffContent) -> bool:
    """Without fractions, since most visits are."""
    for limit, sign in ((content.min_price, 1), (content.max_price, -1)):
        bounds = () if limit is None else ((net, limit.before_taxes), (gross, limit.after_taxes))
        for amount, bound in bounds:
            if bound is not None:
                size, places = bound.as_integer_ratio()
                if (amount * places - size * scale) * sign < 0:
                    return False
    return True


def _bounded(net: Fraction, taxes: Rates, content: TariffContent) -> tuple[Fraction, Fraction]:
    """Net and tax within both limits."""
    gross = net + sum(taxes.values(), Fraction())
    is_taxed = content.tax_included is not TaxIncluded.NOT_APPLICABLE
    for limit, nearer in ((content.min_price, max), (content.max_price, min)):
        if limit is not None:
            known = limit if is_taxed else PriceLimit(limit.before_taxes)
            net, gross = _within(known, nearer, net, gross, taxes)
    return net, gross - net


def _within(
    limit: PriceLimit,
    nearer: Callable[[Fraction, Fraction], Fraction],
    net: Fraction,
    gross: Fraction,
    taxes: Rates,
) -> tuple[Fraction, Fraction]:
    """Where no tax is known, what lies between the bounds is one all the same."""
    bounded = nearer(net, Fraction(limit.before_taxes))
    if limit.after_taxes is not None:
        return bounded, max(bounded, nearer(gross, Fraction(limit.after_taxes)))
    if net:
        return bounded, bounded * gross / net
    return bounded, bounded * (1 + Fraction(next(iter(taxes), None) or 0) / 100)


def _only_rate(rules: PassRules | None) -> Rates:
    """Of charging that cost nothing: the tax all its components would have borne; where they differ, none is known."""
    columns = rules.columns.values() if rules else ()
    rates = {priced.rate for column in columns for priced in column}
    (rate,) = rates if len(rates) == 1 else (None,)
    return {} if rate is None else {rate: Fraction()}


def _shares(taxes: Rates, bounded_tax: Fraction) -> Rates:
    """Of each rate in the tax; of none so far the first takes all, and where no rate is known it is a tax without."""
    tax = sum(taxes.values(), Fraction())
    if tax:
        return {rate: amount / tax for rate, amount in taxes.items()}
    if not taxes and bounded_tax:
        return {None: Fraction(1)}
    return {rate: Fraction(place == 0) for place, rate in enumerate(taxes)}
