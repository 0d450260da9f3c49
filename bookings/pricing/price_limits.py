"""The least and the most a charging session costs, before and after taxes each for itself; the tax is the difference."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from bookings.pricing.passes import PassRules
from bookings.pricing.reckoning import LimitDifference, Reckoning
from bookings.pricing.tariff_content import PriceLimit, TariffContent


def apply_limits(reckoning: Reckoning, content: TariffContent, rules: PassRules | None) -> None:
    """Add what the tariff's limits change of the charging so far; nothing where they do not bite."""
    if content.min_price is None and content.max_price is None:
        return
    money = reckoning.charging()
    if _is_within(money.net, money.gross, reckoning.scale, content):
        return
    net = reckoning.exact(money.net)
    taxes = {rate: reckoning.exact(tax) for rate, tax in money.taxes.items()} or _only_rate(rules)
    bounded_net, bounded_tax = _bounded(net, taxes, content)
    tax = sum(taxes.values(), Fraction())
    if (bounded_net, bounded_tax) == (net, tax):
        return
    shares = _shares(taxes)
    differences = {rate: bounded_tax * share - taxes[rate] for rate, share in shares.items()}
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


def _bounded(net: Fraction, taxes: dict[str, Fraction], content: TariffContent) -> tuple[Fraction, Fraction]:
    """Net and tax within both limits. Without any known tax there is none to bound."""
    gross = net + sum(taxes.values(), Fraction())
    for limit, nearer in ((content.min_price, max), (content.max_price, min)):
        if limit is not None:
            net, gross = _within(limit, nearer, net, gross, taxes)
    return net, gross - net if taxes else Fraction()


def _within(
    limit: PriceLimit,
    nearer: Callable[[Fraction, Fraction], Fraction],
    net: Fraction,
    gross: Fraction,
    taxes: dict[str, Fraction],
) -> tuple[Fraction, Fraction]:
    bounded = nearer(net, Fraction(limit.before_taxes))
    if limit.after_taxes is not None:
        return bounded, max(bounded, nearer(gross, Fraction(limit.after_taxes)))
    if net:
        return bounded, bounded * gross / net
    rate = sum((Fraction(rate) for rate in taxes), Fraction())
    return bounded, bounded * (1 + rate / 100)


def _only_rate(rules: PassRules | None) -> dict[str, Fraction]:
    """Of charging that cost nothing: the tax all its components would have borne."""
    columns = rules.columns.values() if rules else ()
    rates = {priced.rate for column in columns for priced in column}
    (rate,) = rates if len(rates) == 1 else (None,)
    return {} if rate is None else {rate: Fraction()}


def _shares(taxes: dict[str, Fraction]) -> dict[str, Fraction]:
    """Of each rate in the tax; of none so far the first takes all."""
    tax = sum(taxes.values(), Fraction())
    if tax:
        return {rate: amount / tax for rate, amount in taxes.items()}
    return {rate: Fraction(place == 0) for place, rate in enumerate(taxes)}
