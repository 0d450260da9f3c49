"""Numbers that others gave a company: VAT ids, accounts, creditor ids. Form and check digits tell a slip of the pen;
whether somebody has the number is not asked, since nothing here may wait for a server."""

from __future__ import annotations

import re
from typing import Final

from stdnum import iban as iban_numbers
from stdnum.ch import vat as swiss_vat
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError
from stdnum.gb import vat as british_vat
from stdnum.iso7064 import mod_97_10
from stdnum.no import mva as norwegian_vat

from bookings.billing.errors import CreditorIdInvalid, IbanInvalid, VatIdInvalid

# Countries as ISO 3166 alpha-2 has them; XI and EL are prefixes of VAT ids and no countries.
EU: Final = frozenset(
    {"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"}
    | {"IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"}
)
_COUNTRY_OF_PREFIX: Final = {"EL": "GR", "XI": "GB"}
_OUTSIDE_EU: Final = {"CH": swiss_vat, "GB": british_vat, "NO": norwegian_vat}
_CREDITOR_ID: Final = re.compile(r"([A-Z]{2}\d{2})[A-Z0-9]{3}([A-Z0-9]{1,28})")


def checked_vat_id(text: str) -> str:
    """A VAT id without blanks and separators, its form and check digits being right. Raises VatIdInvalid.

    Of the EU, Great Britain, Switzerland with Liechtenstein, and Norway; whether somebody has the number is not asked.
    """
    compact = re.sub(r"[\s.\-/]", "", text).upper()
    prefix = compact[:2]
    try:
        if prefix in _OUTSIDE_EU:
            _OUTSIDE_EU[prefix].validate(compact)
        elif _COUNTRY_OF_PREFIX.get(prefix, prefix) in EU | {"GB"} and prefix != "GR":
            eu_vat.validate(compact)
        else:
            raise VatIdInvalid(
                f"“{text[:40]}” is no VAT id that can be checked: it begins with two letters for the country, such as"
                " DE, FR, EL for Greece, GB, CHE or NO. Leave it empty for companies of other countries."
            )
    except ValidationError as error:
        raise VatIdInvalid(
            f"“{text[:40]}” is no VAT id of {prefix}: {str(error).rstrip('.').lower()}."
        ) from error
    return compact


def vat_country(vat_id: str) -> str:
    """The country that gave a VAT id. Raises VatIdInvalid."""
    prefix = checked_vat_id(vat_id)[:2]
    return _COUNTRY_OF_PREFIX.get(prefix, prefix)


def checked_iban(text: str) -> str:
    """An IBAN without blanks, its length and check digits being right. Raises IbanInvalid."""
    try:
        return str(iban_numbers.validate(text))
    except ValidationError as error:
        raise IbanInvalid(f"“{text[:50]}” is no IBAN: {str(error).rstrip('.').lower()}.") from error


def checked_creditor_id(text: str) -> str:
    """A SEPA creditor identifier without blanks (EPC262-08). Raises CreditorIdInvalid.

    Its check digits are those of country and national part; the three signs between are the creditor's own.
    """
    compact = re.sub(r"\s", "", text).upper()
    parts = _CREDITOR_ID.fullmatch(compact)
    try:
        mod_97_10.validate(parts[2] + parts[1] if parts else "")
    except ValidationError as error:
        raise CreditorIdInvalid(f"“{text[:40]}” is no SEPA creditor identifier.") from error
    return compact
