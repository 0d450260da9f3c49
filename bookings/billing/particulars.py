"""What an invoice must say of an organisation: entered by its people or by command, and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pycountry
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from bookings.billing.documents.printable import is_printable
from bookings.billing.errors import ParticularsInvalid
from bookings.billing.identifiers import checked_creditor_id, checked_iban, checked_vat_id
from bookings.errors import BookingError, ChangedMeanwhile
from bookings.rules.content_version import version_of
from depots.models import Organisation
from depots.operations.organisations import add_organisation

# Columns of depots.models.Organisation, each with the words for it.
PARTICULARS = {
    "legal_name": "the name under which it is registered",
    "address": "street and number",
    "postal_code": "up to 10 characters",
    "city": "town",
    "country": "two or three letters of ISO 3166-1, such as DE or DEU",
    "vat_id": "such as DE123456788; its check digits must be right",
    "iban": "the account that is paid to",
    "creditor_id": "of SEPA, who collects by direct debit",
    "billing_email": "where invoices are sent",
    "billing_day": "day of each month, 1 to 28, on which an operator's month before is billed by itself; empty: by hand",
}


MOST_DAY = 28


def register_organisation(
    *, name: str, parties: Mapping[str, str | None], particulars: Mapping[str, str]
) -> Organisation:
    """Make an organisation, or update the one of this name by what is given. Raises OrganisationError, ParticularsInvalid."""
    checked = checked_particulars(particulars)
    with transaction.atomic():
        organisation = add_organisation(name=name, **parties)
        return _save(organisation, checked)


def set_particulars(
    *, organisation_id: int, particulars: Mapping[str, str], seen_version: int | None = None
) -> Organisation:
    """Raises ParticularsInvalid, and ChangedMeanwhile where somebody has changed the same since `seen_version`."""
    checked = checked_particulars(particulars)
    with transaction.atomic():
        organisation = Organisation.objects.select_for_update(no_key=True).get(pk=organisation_id)
        if seen_version not in {None, particulars_version(organisation)}:
            raise ChangedMeanwhile("Somebody has changed these particulars meanwhile.")
        return _save(organisation, checked)


def particulars_version(organisation: Organisation) -> int:
    """For the hidden field of a form that shows them."""
    return version_of({name: getattr(organisation, name) for name in PARTICULARS})


def checked_particulars(given: Mapping[str, str]) -> dict[str, str | int | None]:
    """As they are kept: blanks trimmed, country in three letters, VAT id and IBAN compact, the day a number. Empty takes it away.

    Raises ParticularsInvalid with a sentence for each field at fault.
    """
    kept: dict[str, str | int | None] = {}
    faults = {}
    for name, text in given.items():
        try:
            kept[name] = _checked(name, " ".join(text.split()))
        except BookingError as fault:
            faults[name] = str(fault)
    if faults:
        raise ParticularsInvalid(faults)
    return kept


def _checked(name: str, text: str) -> str | int | None:
    """Raises BookingError."""
    if not is_printable(text):
        raise BookingError("It contains a character that no invoice can hold.")
    if name == "billing_day":
        return _day(text)
    if not text:
        return ""
    kept = _CHECKS[name](text) if name in _CHECKS else text
    most: int = getattr(Organisation._meta.get_field(name), "max_length")  # noqa: B009, SLF001 - each is text
    if len(kept) > most:
        raise BookingError(f"At most {most} characters.")
    return kept


def _day(text: str) -> int | None:
    if text and not (text.isascii() and text.isdigit() and len(text) < 3 and 1 <= int(text) <= MOST_DAY):
        raise BookingError(f"“{text[:40]}” is no day from 1 to {MOST_DAY}, which every month has.")
    return int(text) if text else None


def _country(text: str) -> str:
    upper = text.upper()
    countries = pycountry.countries
    found = countries.get(alpha_2=upper) if len(upper) == 2 else countries.get(alpha_3=upper)
    if found is None:
        raise BookingError(f"“{text[:40]}” is no country of ISO 3166-1 in two or three letters.")
    return str(found.alpha_3)


def _email(text: str) -> str:
    try:
        validate_email(text)
    except ValidationError:
        raise BookingError(f"“{text[:80]}” is not an e-mail address.") from None
    return text


_CHECKS: dict[str, Callable[[str], str]] = {
    "country": _country,
    "vat_id": checked_vat_id,
    "iban": checked_iban,
    "creditor_id": checked_creditor_id,
    "billing_email": _email,
}


def _save(organisation: Organisation, checked: Mapping[str, str | int | None]) -> Organisation:
    for name, kept in checked.items():
        setattr(organisation, name, kept)
    if checked:
        organisation.save(update_fields=[*checked, "legal_name_key"])
    return organisation
