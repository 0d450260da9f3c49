"""Hours and quotas of a depot's guests, and of one agreement."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from bookings.errors import BookingError
from bookings.operations.access_rules import add_rule, remove_rule, rules_of, rules_version
from bookings.pages import access, agreement_access, agreement_words
from bookings.pages.forms.access_rules import AccessRuleForm
from bookings.pages.views.refusals import status_of, words_of
from bookings.rules.content_version import seen_version
from depots.models import Agreement, Depot
from depots.pages import done, respond


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def depot_rules(request: HttpRequest, code: str) -> HttpResponse:
    return _rules(request, access.run_depot(request.user, code))


@login_required
@require_POST
def depot_rule_removal(request: HttpRequest, code: str, depot_rule_id: int) -> HttpResponse:
    return _remove(request, access.run_depot(request.user, code), depot_rule_id)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def agreement_rules(request: HttpRequest, agreement_id: int) -> HttpResponse:
    return _rules(request, agreement_access.run_agreement(request.user, agreement_id))


@login_required
@require_POST
def agreement_rule_removal(request: HttpRequest, agreement_id: int, rule_id: int) -> HttpResponse:
    return _remove(request, agreement_access.run_agreement(request.user, agreement_id), rule_id)


def _rules(request: HttpRequest, owner: Depot | Agreement) -> HttpResponse:
    """GET shows them; POST adds one."""
    form = AccessRuleForm(request.POST if request.method == "POST" else None, owner=owner)
    status = 422 if form.is_bound else 200
    if form.is_valid():
        try:
            add_rule(
                owner=owner, rule=form.rule, seen_version=seen_version(request.POST),
                actor=access.as_manager(request.user), now=timezone.now(),
            )  # fmt: skip
        except BookingError as refusal:
            form.add_error(None, words_of(refusal))
            status = status_of(refusal)
        else:
            return done(request, _address(owner), "It holds for what is booked from now on.")
    return _shown(request, owner, form, status)


def _remove(request: HttpRequest, owner: Depot | Agreement, rule_id: int) -> HttpResponse:
    rule = agreement_access.rule_of(owner, rule_id)
    try:
        remove_rule(
            owner=owner, rule_id=rule.pk, seen_version=seen_version(request.POST),
            actor=access.as_manager(request.user), now=timezone.now(),
        )  # fmt: skip
    except BookingError as refusal:
        form = AccessRuleForm(owner=owner)
        return _shown(request, owner, form, status_of(refusal), words_of(refusal))
    return done(request, _address(owner), "Removed.")


def _shown(
    request: HttpRequest, owner: Depot | Agreement, form: AccessRuleForm, status: int, refusal: str = ""
) -> HttpResponse:
    agreement = owner if isinstance(owner, Agreement) else None
    context = {
        "depot": agreement.depot if agreement else owner,
        "agreement": agreement,
        "address": _address(owner),
        "rows": [
            (rule, words, when, _removal(owner, rule.pk))
            for rule, words, when in agreement_words.rows(rules_of(owner))
        ],
        "form": form,
        "version": rules_version(owner),
        "refusal": refusal,
    }
    return respond(request, "bookings/agreements/rules", context, status)


def _address(owner: Depot | Agreement) -> str:
    if isinstance(owner, Agreement):
        return reverse("bookings:agreement_rules", args=[owner.pk])
    return reverse("bookings:depot_rules", args=[owner.code])


def _removal(owner: Depot | Agreement, rule_id: int) -> str:
    if isinstance(owner, Agreement):
        return reverse("bookings:agreement_rule_removal", args=[owner.pk, rule_id])
    return reverse("bookings:depot_rule_removal", args=[owner.code, rule_id])
