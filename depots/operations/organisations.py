"""Making organisations and giving people a role in them."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q

from depots.models import Membership, Organisation, User
from depots.parties import EVERYBODY

_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_PARTY = re.compile(r"[A-Z0-9]{3}", re.ASCII)


class OrganisationError(Exception):
    """Something about an organisation or a person was refused; `field` names what. `str()` is a sentence."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def add_organisation(
    *, name: str, country_code: str = "", cpo_party_id: str = "", emsp_party_id: str = ""
) -> Organisation:
    """A fleet (with an eMSP party), a depot operator (with a CPO party), or both. Raises OrganisationError.

    Neither party is needed by who books and runs depots without partner networks. Codes may come in small letters.
    """
    name = name.strip()
    country, cpo, emsp = (text.strip().upper() for text in (country_code, cpo_party_id, emsp_party_id))
    _check_name(name)
    _check_parties(country, {"cpo_party_id": cpo, "emsp_party_id": emsp})
    with transaction.atomic():
        _refuse_taken(name, country, cpo, emsp)
        return Organisation.objects.create(
            name=name, country_code=country, cpo_party_id=cpo, emsp_party_id=emsp
        )


def add_member(*, email: str, organisation: Organisation, role: str) -> tuple[User, bool]:
    """The person with this role in the organisation, and whether the person is new here. Raises OrganisationError."""
    email = email.strip()
    try:
        validate_email(email)
    except ValidationError:
        raise OrganisationError("email", f"{email} is not an e-mail address.") from None
    if organisation.is_partner:
        raise OrganisationError("organisation", f"{organisation} is a partner network and has no users here.")
    with transaction.atomic():
        user = User.objects.filter(email__iexact=email).first()
        is_new = user is None
        # In small letters, as the sign-in page compares.
        user = user or User.objects.create_user(email.lower())
        _, is_added = Membership.objects.get_or_create(user=user, organisation=organisation, role=role)
        if not is_added:
            label = Membership.Role(role).label.lower()
            raise OrganisationError("role", f"{user} is a {label} of {organisation} already.")
    return user, is_new


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= 100:
        raise OrganisationError("name", "A name has 1 to 100 characters.")
    if name.lower() == EVERYBODY:
        raise OrganisationError(
            "name", f"No organisation can be called {name}: a depot is opened to everybody by it."
        )


def _check_parties(country: str, parties: dict[str, str]) -> None:
    if country and not _COUNTRY.fullmatch(country):
        raise OrganisationError("country_code", f"{country} is not a country code of two letters.")
    for field, party in parties.items():
        if party and not _PARTY.fullmatch(party):
            raise OrganisationError(field, f"{party} is not a party id of three letters or digits.")
        if party and not country:
            raise OrganisationError("country_code", f"The party {party} needs a country code.")


def _refuse_taken(name: str, country: str, cpo: str, emsp: str) -> None:
    if Organisation.objects.filter(name__iexact=name).exists():
        raise OrganisationError("name", f"There is an organisation {name} already.")
    for field, party in {"cpo_party_id": cpo, "emsp_party_id": emsp}.items():
        holder = Organisation.objects.filter(
            Q(country_code=country) & Q(**{f"{field}__iexact": party})
        ).first()
        if party and holder:
            raise OrganisationError(field, f"{country}*{party} is the party of {holder}.")
