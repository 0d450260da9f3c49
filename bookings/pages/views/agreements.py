"""How depots are opened to fleets and partner networks: pages for both sides."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings.errors import BookingError
from bookings.models import AgreementProposal, PaymentTerms
from bookings.operations.access_rules import rules_of
from bookings.operations.agreements import (
    accept_proposal,
    ask_for_access,
    decline_proposal,
    listing_version,
    offer_access,
    set_listed,
    withdraw_proposal,
)
from bookings.operations.end_agreement import (
    Ending,
    Reopening,
    end_agreement,
    ending_version,
    last_end,
    take_back_end,
    touched,
)
from bookings.pages import access, agreement_access, agreement_words
from bookings.pages.forms.agreements import DeclineForm, EndForm, ProposalForm
from bookings.pages.views.refusals import status_of, words_of
from bookings.rules import configuration
from bookings.rules.content_version import seen_version, version_of
from bookings.rules.permissions import CANCELLABLE
from depots.models import Agreement, Depot
from depots.pages import done, respond

SHOWN_PAST = timedelta(days=60)
LIST = "bookings:agreements"


@never_cache
@login_required
@require_safe
def agreements(request: HttpRequest) -> HttpResponse:
    """What waits, what is in force on either side, and which depots may be asked."""
    agreement_access.concerned(request.user)
    return _list(request)


def _list(request: HttpRequest, refusal: BookingError | None = None) -> HttpResponse:
    now = timezone.now()
    proposals: list[dict[str, Any]] = [
        {"proposal": one, "may_answer": agreement_access.may_answer(request.user, one)}
        for one in agreement_access.proposals(request.user)
        if one.waits or (one.answered_at is not None and one.answered_at > now - SHOWN_PAST)
    ]
    context = {
        "waiting": [row for row in proposals if row["proposal"].waits],
        "answered": [row for row in proposals if not row["proposal"].waits],
        "given": _rows(agreement_access.agreements_given(request.user), now),
        "had": _rows(agreement_access.agreements_had(request.user), now),
        "askable": list(agreement_access.askable_depots(request.user, now=now)),
        "run": [
            (depot, listing_version(depot))
            for depot in access.depots_seen(request.user)
            if agreement_access.runs(request.user, depot)
        ],
        "refusal": words_of(refusal) if refusal else "",
    }
    return respond(request, "bookings/agreements/list", context, status_of(refusal) if refusal else 200)


@never_cache
@login_required
@require_safe
def agreement(request: HttpRequest, agreement_id: int) -> HttpResponse:
    return _agreement(request, agreement_access.agreement(request.user, agreement_id))


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest, code: str) -> HttpResponse:
    """Ask for access to a listed depot."""
    depot, asking = agreement_access.listed_depot(request.user, code)
    form = ProposalForm(_posted(request), depot=depot, now=timezone.now(), asking=asking)
    return _propose(request, form, depot, is_asked=True)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def offer(request: HttpRequest, code: str) -> HttpResponse:
    """Offer access to a depot one runs."""
    depot = access.run_depot(request.user, code)
    form = ProposalForm(_posted(request), depot=depot, now=timezone.now())
    return _propose(request, form, depot, is_asked=False)


@never_cache
@login_required
@require_safe
def proposal(request: HttpRequest, proposal_id: int) -> HttpResponse:
    return _proposal(request, agreement_access.proposal(request.user, proposal_id))


@login_required
@require_POST
def accept(request: HttpRequest, proposal_id: int) -> HttpResponse:
    found = agreement_access.answered_proposal(request.user, proposal_id)
    try:
        made = accept_proposal(
            proposal_id=found.pk, seen_version=seen_version(request.POST), actor=_actor(request, found, answers=True),
            now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return _proposal(request, found, refusal)
    told = f"{found.depot} is open to {found.guest}."
    return done(request, reverse("bookings:agreement", args=[made.pk]), told)


@login_required
@require_POST
def decline(request: HttpRequest, proposal_id: int) -> HttpResponse:
    found = agreement_access.answered_proposal(request.user, proposal_id)
    form = DeclineForm(request.POST)
    if not form.is_valid():
        return _proposal(request, found, form=form, status=422)
    try:
        decline_proposal(
            proposal_id=found.pk, reason=form.cleaned_data["reason"], seen_version=seen_version(request.POST),
            actor=_actor(request, found, answers=True), now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return _proposal(request, found, refusal)
    return done(request, reverse(LIST), "Declined.")


@login_required
@require_POST
def withdraw(request: HttpRequest, proposal_id: int) -> HttpResponse:
    found = agreement_access.own_proposal(request.user, proposal_id)
    try:
        withdraw_proposal(
            proposal_id=found.pk, seen_version=seen_version(request.POST),
            actor=_actor(request, found, answers=False), now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return _proposal(request, found, refusal)
    return done(request, reverse(LIST), "Withdrawn.")


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def end(request: HttpRequest, agreement_id: int) -> HttpResponse:
    """GET shows what an end touches and changes nothing; POST ends, and cancels what was chosen."""
    found, now = agreement_access.run_agreement(request.user, agreement_id), timezone.now()
    form = EndForm(request.GET or None, depot=found.depot, now=now)
    if request.method != "POST":
        return _end(request, found, form, now, 422 if form.is_bound and not form.is_valid() else 200)
    form = EndForm(request.POST, depot=found.depot, now=now)
    if not form.is_valid():
        return _end(request, found, form, now, 422)
    standing = touched(found, form.ends_at or now, now=now)
    form = EndForm(request.POST, depot=found.depot, now=now, found=standing)
    form.is_valid()
    try:
        ending = end_agreement(
            agreement_id=found.pk, ends_at=form.ends_at, cancel=form.cancel, seen_version=seen_version(request.POST),
            actor=access.as_manager(request.user), now=now,
        )  # fmt: skip
    except BookingError as refusal:
        form.add_error(None, words_of(refusal))
        return _end(request, found, form, now, status_of(refusal))
    return done(request, reverse("bookings:agreement", args=[found.pk]), _ended(ending))


@login_required
@require_POST
def take_back(request: HttpRequest, agreement_id: int) -> HttpResponse:
    found = agreement_access.run_agreement(request.user, agreement_id)
    try:
        again = take_back_end(
            agreement_id=found.pk, seen_version=seen_version(request.POST),
            actor=access.as_manager(request.user), now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        return _agreement(request, found, refusal)
    return done(request, reverse("bookings:agreement", args=[found.pk]), _reopened(again))


@login_required
@require_POST
def listing(request: HttpRequest, code: str) -> HttpResponse:
    """Show a depot to fleets it is not open to, or no more."""
    depot = access.run_depot(request.user, code)
    is_listed = "listed" in request.POST
    try:
        set_listed(depot=depot, is_listed=is_listed, seen_version=seen_version(request.POST))
    except BookingError as refusal:
        return _list(request, refusal)
    told = (
        "is shown to fleets, which may ask for access"
        if is_listed
        else "is shown to nobody it is not open to"
    )
    return done(request, reverse(LIST), f"{depot} {told}.")


def _propose(request: HttpRequest, form: ProposalForm, depot: Depot, *, is_asked: bool) -> HttpResponse:
    status = 422 if form.is_bound else 200
    if form.is_valid() and form.guest is not None:
        propose, actor = (
            (ask_for_access, access.as_dispatcher) if is_asked else (offer_access, access.as_manager)
        )
        try:
            made = propose(
                depot=depot, guest=form.guest, message=form.cleaned_data["message"], ends_at=form.ends_at,
                actor=actor(request.user), now=timezone.now(),
            )  # fmt: skip
        except BookingError as refusal:
            form.add_error(None, str(refusal))
            status = status_of(refusal)
        else:
            told = f"Asked. {depot.operator} answers." if is_asked else f"Offered. {form.guest} answers."
            return done(request, reverse("bookings:agreement_proposal", args=[made.pk]), told)
    context = {"depot": depot, "form": form, "is_asked": is_asked}
    return respond(request, "bookings/agreements/propose", context, status)


def _proposal(
    request: HttpRequest,
    found: AgreementProposal,
    refusal: BookingError | None = None,
    *,
    form: DeclineForm | None = None,
    status: int = 200,
) -> HttpResponse:
    found = agreement_access.proposal(request.user, found.pk)
    context = {
        "proposal": found,
        "version": version_of(found),
        "may_answer": agreement_access.may_answer(request.user, found),
        "may_withdraw": agreement_access.may_withdraw(request.user, found),
        "ends": agreement_words.day(found.depot, found.ends_at) if found.ends_at else "",
        "terms": _terms(found.depot, found.guest_id),
        "rules": agreement_words.rows(rules_of(found.depot)),
        "form": form or DeclineForm(),
        "refusal": words_of(refusal) if refusal else "",
    }
    return respond(
        request, "bookings/agreements/proposal", context, status_of(refusal) if refusal else status
    )


def _agreement(request: HttpRequest, found: Agreement, refusal: BookingError | None = None) -> HttpResponse:
    now = timezone.now()
    found = agreement_access.agreement(request.user, found.pk)
    looks_after = found.depot.operator_id in access.operators_seen(request.user)
    context = {
        "agreement": found,
        "state": agreement_words.state(found, now=now),
        "is_over": found.ends_at is not None and found.ends_at <= now,
        "runs": agreement_access.runs(request.user, found.depot),
        "version": version_of(found),
        "can_take_back": looks_after and last_end(found, now=now) is not None,
        "rules": agreement_words.rows(rules_of(found)),
        "depot_rules": agreement_words.rows(rules_of(found.depot)),
        "terms": _terms(found.depot, found.guest_id),
        "tariffs": list(
            found.tariff_bindings.filter(valid__contains=now).values_list("tariff__name", flat=True)
        ),
        "payment": PaymentTerms.objects.filter(agreement=found).first(),
        "history": agreement_words.history(found) if looks_after else [],
        "refusal": words_of(refusal) if refusal else "",
    }
    return respond(request, "bookings/agreements/agreement", context, status_of(refusal) if refusal else 200)


def _end(
    request: HttpRequest, found: Agreement, form: EndForm, now: datetime, status: int = 200
) -> HttpResponse:
    is_known = not form.is_bound or form.is_valid()
    ends_at = (form.ends_at if form.is_bound and is_known else None) or now
    standing = touched(found, ends_at, now=now)
    context = {
        "agreement": found,
        "form": form,
        "is_previewed": form.is_bound and is_known,
        "rows": [(booking, booking.status in CANCELLABLE) for booking in standing],
        "version": ending_version(found, standing),
        "when": agreement_words.day(found.depot, ends_at) if ends_at > now else "now",
    }
    return respond(request, "bookings/agreements/end", context, status)


def _rows(rows: Any, now: datetime) -> list[tuple[Agreement, tuple[str, str]]]:
    """Those in force first; what ended long ago is left out."""
    found = [row for row in rows if row.ends_at is None or row.ends_at > now - SHOWN_PAST]
    found.sort(key=lambda row: not row.is_in_force(now))
    return [(row, agreement_words.state(row, now=now)) for row in found]


def _terms(depot: Depot, guest_id: int | None) -> dict[str, Any]:
    """What a booking would be made under, as far as a guest asks first; those of the depot as a whole."""
    known = configuration.current(depot.pk)
    agreed = frozenset(
        one.pk for one in known.agreements if one.guest_id in {guest_id, None} and one.depot_id == depot.pk
    )
    return known.terms_under(0, agreed).to_json()


def _ended(ending: Ending) -> str:
    told = "The agreement ends."
    if ending.cancelled or ending.kept:
        told += f" Bookings: {len(ending.cancelled)} cancelled, {len(ending.kept)} stand."
    return told


def _reopened(again: Reopening) -> str:
    told = "The agreement is as it was."
    if again.booked:
        told += f" {len(again.booked)} booked again."
    for booking, why in again.refused:
        told += f" {booking}: {why}"
    return told


def _actor(request: HttpRequest, found: AgreementProposal, *, answers: bool) -> Any:
    """The side that this person speaks for."""
    of_depot = found.is_asked == answers
    return access.as_manager(request.user) if of_depot else access.as_dispatcher(request.user)


def _posted(request: HttpRequest) -> Any:
    return request.POST if request.method == "POST" else None
