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
    *,
    name: str,
    country_code: str | None = None,
    cpo_party_id: str | None = None,
    emsp_party_id: str | None = None,
) -> Organisation:
    """A fleet (with an eMSP party), a depot operator (with a CPO party), or both; one that is there already gets the parties
    that are given. Raises OrganisationError.

    Neither party is needed by who books and runs depots without partner networks. Codes may come in small letters.
    """
    name = name.strip()
    _check_name(name)
    given = {"country_code": country_code, "cpo_party_id": cpo_party_id, "emsp_party_id": emsp_party_id}
    parties = {field: text.strip().upper() for field, text in given.items() if text is not None}
    with transaction.atomic():
        rows = Organisation.objects.select_for_update(no_key=True).filter(name_key=name)
        organisation = rows.first() or Organisation(name=name)
        if organisation.is_partner and parties:
            raise OrganisationError(
                "name", f"{organisation} is a partner network, whose parties it tells itself."
            )
        for field, text in parties.items():
            setattr(organisation, field, text)
        _check_parties(organisation)
        organisation.save()
    return organisation


def add_member(*, email: str, organisation: Organisation, role: str) -> tuple[User, bool]:
    """The person with this role in the organisation, and whether the person is new here. Raises OrganisationError."""
    # In small letters, as the sign-in page compares.
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise OrganisationError("email", f"{email} is not an e-mail address.") from None
    if organisation.is_partner:
        raise OrganisationError("organisation", f"{organisation} is a partner network and has no users here.")
    with transaction.atomic():
        user = User.objects.filter(email__iexact=email).first()
        is_new = user is None
        user = user or User.objects.create_user(email)
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


def _check_parties(organisation: Organisation) -> None:
    country = organisation.country_code
    if country and not _COUNTRY.fullmatch(country):
        raise OrganisationError("country_code", f"{country} is not a country code of two letters.")
    for field in ("cpo_party_id", "emsp_party_id"):
        party = getattr(organisation, field)
        if not party:
            continue
        if not _PARTY.fullmatch(party):
            raise OrganisationError(field, f"{party} is not a party id of three letters or digits.")
        if not country:
            raise OrganisationError("country_code", f"The party {party} needs a country code.")
        is_theirs = Q(country_code__iexact=country) & Q(**{f"{field}__iexact": party})
        holder = Organisation.objects.filter(is_theirs).exclude(pk=organisation.pk).first()
        if holder:
            raise OrganisationError(field, f"{country}*{party} is the party of {holder}.")
