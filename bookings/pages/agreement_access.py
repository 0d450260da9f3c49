"""May this user see, answer or change that agreement? Each gives the object, or 404 for what is not theirs."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

from bookings.models import AccessRule, AgreementProposal
from bookings.pages import access
from bookings.pages.memberships import Person
from depots.models import Agreement, Depot, Organisation

Side = AgreementProposal.Side


def concerned(user: Person) -> None:
    """404 for who neither belongs to a fleet nor looks after depots."""
    if not (access.fleets_seen(user) or access.operators_seen(user)):
        raise Http404


def agreements_given(user: Person) -> QuerySet[Agreement]:
    """Of the depots this person looks after."""
    return _with_names(Agreement.objects.filter(depot__in=access.depots_seen(user)))


def agreements_had(user: Person) -> QuerySet[Agreement]:
    """By which this person's fleets may book at others' depots, what is open to everybody included."""
    fleets = access.fleets_seen(user)
    rows = Agreement.objects.admitting(fleets).filter(depot__is_mirror=False, depot__is_withdrawn=False)
    return _with_names(rows.exclude(depot__operator__in=fleets | access.operators_seen(user)))


def agreement(user: Person, agreement_id: int) -> Agreement:
    """One of either side."""
    given = Q(depot__in=access.depots_seen(user))
    rows = Agreement.objects.filter(given | Q(guest__in=access.fleets_seen(user)), depot__is_mirror=False)
    return get_object_or_404(_with_names(rows), pk=agreement_id)


def run_agreement(user: Person, agreement_id: int) -> Agreement:
    """One of a depot that this person runs."""
    found = agreement(user, agreement_id)
    if not runs(user, found.depot):
        raise Http404
    return found


def runs(user: Person, depot: Depot) -> bool:
    return depot.operator_id in access.operators_decided_for(user)


def proposals(user: Person) -> QuerySet[AgreementProposal]:
    """Of either side."""
    mine = Q(guest__in=access.fleets_seen(user)) | Q(depot__in=access.depots_seen(user))
    rows = AgreementProposal.objects.filter(mine)
    return rows.select_related("depot__operator", "guest")


def proposal(user: Person, proposal_id: int) -> AgreementProposal:
    return get_object_or_404(proposals(user), pk=proposal_id)


def may_answer(user: Person, found: AgreementProposal) -> bool:
    """Whether this person speaks for the side that is asked."""
    return found.waits and (runs(user, found.depot) if found.is_asked else _acts_for(user, found.guest_id))


def may_withdraw(user: Person, found: AgreementProposal) -> bool:
    """Whether this person speaks for the side that made it."""
    return found.waits and (_acts_for(user, found.guest_id) if found.is_asked else runs(user, found.depot))


def answered_proposal(user: Person, proposal_id: int) -> AgreementProposal:
    """One that this person may answer, or could have, before it was."""
    found = proposal(user, proposal_id)
    speaks = runs(user, found.depot) if found.is_asked else _acts_for(user, found.guest_id)
    if not speaks:
        raise Http404
    return found


def own_proposal(user: Person, proposal_id: int) -> AgreementProposal:
    """One that this person's side made."""
    found = proposal(user, proposal_id)
    speaks = _acts_for(user, found.guest_id) if found.is_asked else runs(user, found.depot)
    if not speaks:
        raise Http404
    return found


def askable_depots(user: Person, *, now: datetime) -> QuerySet[Depot]:
    """Listed depots of others to which none of this person's fleets has access, and that none of them waits for."""
    fleets = access.fleets_booked_for(user)
    opened = Agreement.objects.in_force(now).admitting(fleets).values("depot")
    asked = AgreementProposal.objects.filter(state="waiting", guest__in=fleets).values("depot")
    rows = Depot.objects.filter(is_listed=True, is_mirror=False, is_withdrawn=False)
    rows = rows.exclude(operator__in=fleets).exclude(pk__in=opened).exclude(pk__in=asked)
    return rows.select_related("operator").order_by("name", "pk")


def listed_depot(user: Person, code: str) -> tuple[Depot, list[Organisation]]:
    """A depot that may be asked for, and for whom this person may ask."""
    fleets = [one for one in access.organisations_booked_for(user) if not one.is_partner]
    rows = Depot.objects.filter(is_listed=True, is_mirror=False, is_withdrawn=False)
    depot = get_object_or_404(rows.select_related("operator"), code__iexact=code)
    asking = [one for one in fleets if one.pk != depot.operator_id]
    if not asking:
        raise Http404
    return depot, asking


def rule_of(owner: Depot | Agreement, rule_id: int) -> AccessRule:
    mine = {"depot": owner, "agreement": None} if isinstance(owner, Depot) else {"agreement": owner}
    return get_object_or_404(AccessRule, pk=rule_id, **mine)


def _acts_for(user: Person, guest_id: int) -> bool:
    return guest_id in access.fleets_booked_for(user)


def _with_names(rows: QuerySet[Agreement]) -> QuerySet[Agreement]:
    return rows.select_related("depot__operator", "guest").order_by("depot__name", "guest__name", "pk")
