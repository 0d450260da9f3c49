"""How a depot is opened to a fleet or partner network: asked for or offered, accepted, declined or withdrawn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction

from bookings.actors import Actor
from bookings.core.constraints import violation_raises
from bookings.core.locking import lock_depot
from bookings.errors import ChangedMeanwhile, InThePast, OpenAlready, ProposalAnswered, ProposalWaits
from bookings.models import AgreementProposal
from bookings.operations.open_depot import CreditLimit, open_depot
from bookings.rules.content_version import version_of
from bookings.signals import agreement_moved
from depots.models import Agreement, Depot, Organisation

Side, State = AgreementProposal.Side, AgreementProposal.State


def ask_for_access(
    *,
    depot: Depot,
    guest: Organisation,
    message: str = "",
    ends_at: datetime | None = None,
    actor: Actor,
    now: datetime,
) -> AgreementProposal:
    """A fleet asks to book at somebody's depot. Raises OpenAlready, ProposalWaits or InThePast."""
    return _propose(Side.GUEST, depot, guest, message, ends_at, actor, now)


def offer_access(
    *,
    depot: Depot,
    guest: Organisation,
    message: str = "",
    ends_at: datetime | None = None,
    actor: Actor,
    now: datetime,
) -> AgreementProposal:
    """An operator offers that a fleet may book at its depot. Raises OpenAlready, ProposalWaits or InThePast."""
    return _propose(Side.OPERATOR, depot, guest, message, ends_at, actor, now)


def accept_proposal(
    *,
    proposal_id: int,
    seen_version: int,
    credit: CreditLimit | None = None,
    actor: Actor,
    now: datetime,
) -> Agreement:
    """The other side's yes: in force at once, with the terms, hours and quotas of the depot and those that stand with an
    agreement of before. Raises ProposalAnswered, ChangedMeanwhile, InThePast, or what `open_depot` does."""
    with _answered(proposal_id, seen_version) as proposal:
        if proposal.ends_at is not None and proposal.ends_at <= now:
            raise InThePast("The end that was proposed is over.")
        agreement, _ = open_depot(
            depot=proposal.depot,
            guest=proposal.guest,
            credit=credit,
            ends_at=proposal.ends_at,
            actor=actor,
            now=now,
        )
        _close(proposal, State.ACCEPTED, "", actor, now)
        _tell("agreement_accepted" if proposal.is_asked else "invitation_accepted", proposal, actor, now)
    return agreement


def decline_proposal(
    *, proposal_id: int, reason: str = "", seen_version: int, actor: Actor, now: datetime
) -> AgreementProposal:
    """The other side's no. Raises ProposalAnswered or ChangedMeanwhile."""
    with _answered(proposal_id, seen_version) as proposal:
        _close(proposal, State.DECLINED, reason, actor, now)
        _tell("agreement_declined" if proposal.is_asked else "invitation_declined", proposal, actor, now)
    return proposal


def withdraw_proposal(
    *, proposal_id: int, seen_version: int, actor: Actor, now: datetime
) -> AgreementProposal:
    """By who made it. Raises ProposalAnswered or ChangedMeanwhile."""
    with _answered(proposal_id, seen_version) as proposal:
        _close(proposal, State.WITHDRAWN, "", actor, now)
    return proposal


def listing_version(depot: Depot) -> int:
    """For the form that shows whether strangers see the depot."""
    return version_of([depot.pk, depot.is_listed])


def set_listed(*, depot: Depot, is_listed: bool, seen_version: int) -> None:
    """Whether fleets that a depot is not open to see it, and may ask for access. Raises ChangedMeanwhile."""
    with transaction.atomic():
        lock_depot(depot.pk)
        depot.refresh_from_db(fields=["is_listed"])
        if listing_version(depot) != seen_version:
            raise ChangedMeanwhile("Somebody has changed that since you looked.")
        depot.is_listed = is_listed
        depot.save(update_fields=["is_listed"])


def _propose(
    side: str,
    depot: Depot,
    guest: Organisation,
    message: str,
    ends_at: datetime | None,
    actor: Actor,
    now: datetime,
) -> AgreementProposal:
    if ends_at is not None and ends_at <= now:
        raise InThePast("The agreement would be over already.")
    waits = ProposalWaits("One is waiting for an answer already.")
    with violation_raises({"proposal_waits_once": waits}), transaction.atomic():
        lock_depot(depot.pk)
        is_open = Agreement.objects.in_force(now).admitting([guest.pk]).filter(depot=depot).exists()
        if is_open or guest.pk == depot.operator_id:
            raise OpenAlready(f"{depot} is open to {guest} already.")
        proposal = AgreementProposal.objects.create(
            depot=depot, guest=guest, made_by_side=side, message=message.strip()[:300], ends_at=ends_at, made_at=now,
            **actor.columns("made_by"),
        )  # fmt: skip
        _tell("agreement_asked" if side == Side.GUEST else "agreement_invited", proposal, actor, now)
        return proposal


@contextmanager
def _answered(proposal_id: int, seen_version: int) -> Iterator[AgreementProposal]:
    """Under the lock of its depot, as long as it waits."""
    depot_id = AgreementProposal.objects.values_list("depot_id", flat=True).get(pk=proposal_id)
    with transaction.atomic():
        lock_depot(depot_id)
        rows = AgreementProposal.objects.select_related("depot__operator", "guest")
        proposal = rows.select_for_update(of=("self",)).get(pk=proposal_id)
        if not proposal.waits:
            raise ProposalAnswered(f"It was {proposal.get_state_display()} already.")
        if version_of(proposal) != seen_version:
            raise ChangedMeanwhile("It is not what you looked at any more.")
        yield proposal


def _close(proposal: AgreementProposal, state: str, answer: str, actor: Actor, now: datetime) -> None:
    proposal.state, proposal.answer, proposal.answered_at = state, answer.strip()[:300], now
    for name, value in actor.columns("answered_by").items():
        setattr(proposal, name, value)
    proposal.save(update_fields=["state", "answer", "answered_at", "answered_by_kind", "answered_by_name"])


def _tell(kind: str, proposal: AgreementProposal, actor: Actor, now: datetime) -> None:
    agreement_moved.send(sender=AgreementProposal, kind=kind, about=proposal, actor=actor, at=now)
