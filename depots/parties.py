"""Finding an organisation by what a person calls it: its name, or its OCPI party."""

from __future__ import annotations

import re

from django.db.models import Q

from depots.models import Organisation

EVERYBODY = "all"
_PARTY = re.compile(r"([A-Za-z]{2})[*-]?([A-Za-z0-9]{3,5})", re.ASCII)


class UnknownOrganisationError(Exception):
    """Nobody is called that, or several are. `str()` says which."""


def organisation_called(text: str) -> Organisation:
    """By name, else by party (`NL*LPK`, `NL-LPK` or `NLLPK`), without regard to case. Raises UnknownOrganisationError."""
    named = Organisation.objects.filter(name_key=text).first()
    if named is not None:
        return named
    match = _PARTY.fullmatch(text.strip())
    found = list(_of_party(*match.groups())) if match else []
    if not found:
        raise UnknownOrganisationError(f"There is no organisation {text}.")
    if len(found) > 1:
        names = " and ".join(organisation.name for organisation in found)
        raise UnknownOrganisationError(f"{text} is a party of {names}; say which by name.")
    return found[0]


def _of_party(country: str, party: str) -> list[Organisation]:
    is_party = Q(cpo_party_id__iexact=party) | Q(emsp_party_id__iexact=party)
    return list(Organisation.objects.filter(is_party, country_code__iexact=country).order_by("pk"))
