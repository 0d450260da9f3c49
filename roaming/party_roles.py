"""Whose a party is: the roles a partner names, held against who was invited as what, and who is hosted here."""

from __future__ import annotations

import structlog
from django.db.models import QuerySet

from depots.models import Organisation
from roaming import deviations
from roaming.models import Partner

logger = structlog.get_logger(__name__)
PARTY_ROLES = ("CPO", "EMSP")
HUB = "HUB"
# Those whose claims stand, also while nothing is exchanged with them.
HAS_REGISTERED = (Partner.State.REGISTERED, Partner.State.SUSPENDED)
NOT_ITS_OWN = "credentials.role_of_another"
PartyRole = tuple[str, str, str]  # role, country code, party id


class RegistrationError(Exception):
    """Nothing was registered; `str()` says why, in a sentence for the operator of either side."""


class NotRegistered(RegistrationError):
    pass


class WrongParty(RegistrationError):
    """The credentials do not name the party that was invited, or name one that is somebody else's."""


def check_roles(partner: Partner, roles: list[dict[str, str]]) -> list[dict[str, str]]:
    """The roles that count. The invited party must be there in every role it was invited as, and no role may be that of
    anybody hosted or invited here: raises WrongParty.

    A further party is a claim that nobody here has looked at. It counts as long as no other partner made it before, so
    it never keeps anybody from registering; and who is invited as that party takes it over (`take_roles`). A hub names all
    whom it reaches, whoever else knows them: those of others just do not count.
    """
    named = {_party(r) for r in roles}
    own = invited(partner)
    for wanted in own:
        if wanted not in named:
            role, country, party = wanted
            raise WrongParty(f"You were invited as {role} {country}*{party}, which is not among your roles.")
    for role, country, party in sorted(named):
        if HUB in partner.expected_roles:
            break
        if role in PARTY_ROLES and _belongs_to_another(partner, role, country, party):
            raise WrongParty(f"{role} {country}*{party} is another party of this network.")
    return unclaimed(partner, roles)


def unclaimed(partner: Partner, roles: list[dict[str, str]]) -> list[dict[str, str]]:
    """Those that are nobody else's here."""
    claimed = {_party(r) for other in _others(partner) for r in other.roles} - set(invited(partner))
    return [
        r
        for r in roles
        if r["role"] not in PARTY_ROLES
        or (_party(r) not in claimed and not _belongs_to_another(partner, *_party(r)))
    ]


def take_roles(partner: Partner, roles: list[dict[str, str]]) -> None:
    """The roles of a locked partner, and of nobody else what it was invited as. Raises WrongParty."""
    partner.roles = check_roles(partner, roles)
    if len(partner.roles) < len(roles):
        deviations.count(partner, [NOT_ITS_OWN])
    own = set(invited(partner))
    for other in _others(partner):
        kept = [r for r in other.roles if _party(r) not in own]
        if len(kept) < len(other.roles):
            logger.warning("a claimed party belongs to another partner", partner=other.pk, owner=partner.pk)
            other.roles = kept
            other.save(update_fields=["roles"])


def _others(partner: Partner) -> QuerySet[Partner]:
    """Whose claims stand beside this partner's; some hundreds at most, and this is asked when one registers."""
    return Partner.objects.exclude(pk=partner.pk).filter(state__in=HAS_REGISTERED).only("roles")


def _party(role: dict[str, str]) -> PartyRole:
    return role["role"], role["country_code"].upper(), role["party_id"].upper()


def as_role(party: PartyRole) -> dict[str, str]:
    return dict(zip(("role", "country_code", "party_id"), party, strict=True))


def invited(partner: Partner) -> list[PartyRole]:
    """The party it was invited as, in each role: nobody else can be that."""
    organisation = partner.organisation
    parties = {
        "CPO": organisation.cpo_party_id,
        "EMSP": organisation.emsp_party_id,
        HUB: organisation.cpo_party_id,
    }
    return [
        (role, organisation.country_code.upper(), parties[role].upper()) for role in partner.expected_roles
    ]


def _belongs_to_another(partner: Partner, role: str, country: str, party: str) -> bool:
    column = "cpo_party_id" if role == "CPO" else "emsp_party_id"
    others = Organisation.objects.exclude(pk=partner.organisation_id)
    return others.filter(country_code__iexact=country, **{f"{column}__iexact": party}).exists()
