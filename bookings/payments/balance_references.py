"""What a customer writes on a transfer that is to go to its prepaid balance: a creditor reference (ISO 11649), the same for ever
and with two check digits, so that a bank statement tells whose money came."""

from __future__ import annotations

import re

from stdnum import iso11649
from stdnum.iso7064.mod_97_10 import calc_check_digits

# It ends in a letter: what is written behind it does not run into its number.
_REFERENCE = re.compile(r"RF\d\dP(\d{1,8})C(\d{1,8})B")
_BETWEEN = re.compile(r"[\s./-]")


def balance_reference(operator_id: int, customer_id: int) -> str:
    """`RF18 P12C 34B`, as people write it. For all currencies: money says which it is in."""
    body = f"P{operator_id}C{customer_id}B"
    return str(iso11649.format(f"RF{calc_check_digits(f'{body}RF')}{body}"))


def balances_named(text: str) -> set[tuple[int, int]]:
    """The operators and customers, by id, whose references stand in a text, however it is spaced; none that is mistyped."""
    found = _REFERENCE.finditer(_BETWEEN.sub("", text).upper())
    return {(int(one[1]), int(one[2])) for one in found if iso11649.is_valid(one[0])}
