"""The pages about partner networks: all of them, one of them, what was said with it, what it is to have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from depots.pages import respond
from roaming import access
from roaming.console import comparing, deliveries_shown, messages, overview, partner_page, sandbox
from roaming.console.forms import DeliveriesForm, ListForm, MessagesForm
from roaming.models import Partner

View = Callable[..., HttpResponse]
PARTNERS_A_PAGE, MESSAGES_A_PAGE, DELIVERIES_A_PAGE = 25, 40, 40


def page(view: View) -> View:
    """Seen as it is now, by who is signed in."""
    return never_cache(login_required(require_safe(view)))


@page
def partners(request: HttpRequest) -> HttpResponse:
    """Whether each network is there, what waits for it, and what it sends that could not be taken as it came."""
    is_run = access.is_platform_administrator(request.user)
    if not is_run:
        access.require_sight_of_partners(request.user)
    form = ListForm(request.GET)
    form.is_valid()
    now = timezone.now()
    rows = overview.narrowed(
        overview.all_partners(),
        words=form.cleaned_data.get("q", "").strip(),
        trouble=form.cleaned_data.get("trouble", ""),
    )
    listed = Paginator(rows, PARTNERS_A_PAGE).get_page(request.GET.get("page"))
    states = overview.states(list(listed.object_list), now=now)
    return respond(
        request,
        "roaming/partners",
        {
            "form": form,
            "page": listed,
            "states": [(state, state.queue.age_s(now)) for state in states],
            "is_narrowed": any(form.cleaned_data.values()),
            "is_run": is_run,
            "has_sandbox": is_run and sandbox.is_offered(),
            "now": now,
        },
    )


@page
def partner(request: HttpRequest, partner_id: int) -> HttpResponse:
    return partner_shown(request, access.seen_partner(request.user, partner_id))


def partner_shown(request: HttpRequest, found: Partner, *, status: int = 200, **instead: Any) -> HttpResponse:
    """A partner's page; `instead` are parts of it after a form that was refused."""
    now = timezone.now()
    context = {"partner": found, **partner_page.seen_parts(found, now)}
    if access.is_platform_administrator(request.user):
        context |= {"is_run": True, **partner_page.run_parts(found, now)}
    return respond(request, "roaming/partner", {**context, **instead}, status=status)


@page
def message_list(request: HttpRequest, partner_id: int) -> HttpResponse:
    found = access.run_partner(request.user, partner_id)
    form = MessagesForm(request.GET, partner=found)
    form.is_valid()
    rows = form.filters.narrowed(found).defer("request_body", "response_body")
    listed = Paginator(rows, MESSAGES_A_PAGE).get_page(request.GET.get("page"))
    return respond(
        request,
        "roaming/messages",
        {
            "partner": found,
            "form": form,
            "page": listed,
            "messages_seen": messages.shown(found, list(listed.object_list)),
        },
    )


@page
def message(request: HttpRequest, partner_id: int, message_id: int) -> HttpResponse:
    found = access.run_partner(request.user, partner_id)
    row = get_object_or_404(found.messages, pk=message_id)
    same = found.messages.exclude(pk=row.pk).filter(correlation_id=row.correlation_id).order_by("at", "pk")
    related = list(same.defer("request_body", "response_body")[:20]) if row.correlation_id else []
    [shown] = messages.shown(found, [row])
    return respond(
        request,
        "roaming/message",
        {"partner": found, "shown": shown, "related": messages.shown(found, related)},
    )


@page
def deviation(request: HttpRequest, partner_id: int, deviation_id: int) -> HttpResponse:
    """A rule with the newest message that broke it."""
    found = access.run_partner(request.user, partner_id)
    row = get_object_or_404(found.deviations_seen, pk=deviation_id)
    logged = found.messages.filter(request_id=row.request_id).first() if row.request_id else None
    context = {
        "partner": found,
        "deviation": row,
        "logged": logged,
        "body": messages.pretty(row.example.get("body", "")),
        "answer": messages.pretty(row.example.get("answer", "")),
    }
    return respond(request, "roaming/deviation", context)


@page
def delivery_list(request: HttpRequest, partner_id: int) -> HttpResponse:
    """What it has got of us and what waits, with what can be sent again."""
    return deliveries_page(request, access.run_partner(request.user, partner_id))


def deliveries_page(
    request: HttpRequest, found: Partner, *, refusal: str = "", status: int = 200
) -> HttpResponse:
    form = DeliveriesForm(request.GET)
    form.is_valid()
    given = form.cleaned_data
    rows = deliveries_shown.all_of(found, kind=given.get("kind", ""), words=given.get("q", "").strip())
    listed = Paginator(rows, DELIVERIES_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "partner": found,
        "form": form,
        "page": listed,
        "deliveries": deliveries_shown.named(listed.object_list),
        "refusal": refusal,
        "now": timezone.now(),
    }
    return respond(request, "roaming/deliveries", context, status=status)


@page
def comparison(request: HttpRequest, partner_id: int) -> HttpResponse:
    """What it has otherwise than we do, as it was when somebody had that compared."""
    return comparison_page(request, access.run_partner(request.user, partner_id))


def comparison_page(
    request: HttpRequest, found: Partner, *, refusal: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "partner": found,
        "comparison": comparing.comparison_of(found, timezone.now()),
        "comparison_version": comparing.comparison_version(found),
        "refusal": refusal,
    }
    return respond(request, "roaming/comparison", context, status=status)
