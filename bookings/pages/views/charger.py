"""One charger's page: how it is connected, what it can do and was told to do, who charged there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bookings.errors import BookingError
from bookings.pages import access
from bookings.pages.board import running_at, states_of
from bookings.pages.board.reading import evses_of
from bookings.pages.charger_alerts import alerts_of
from bookings.pages.charger_capability import capability, reserving
from bookings.pages.charger_security import security
from bookings.pages.charger_settings import settings_part
from bookings.pages.charger_verbs import VERBS, refusal_of
from bookings.pages.charger_words import command_lines
from bookings.pages.depot_power import power_of_charger
from bookings.pages.uptime import history_of
from bookings.pages.views.refusals import status_of, words_of
from depots.models import Charger, ChargerCommand
from depots.pages import respond
from depots.queries import armed_reservations, is_online

# Shown among the settings and not among the commands.
IN_SETTINGS = [ChargerCommand.Action.READ_SETTINGS, ChargerCommand.Action.CHANGE_SETTINGS]
LAST_COMMANDS, LAST_MESSAGES, LAST_SESSIONS = 25, 40, 10
# Of the commands, the others behind a fold: on a phone each is a card, and more of the page comes after them.
OPEN_COMMANDS = 5


@never_cache
@login_required
@require_safe
def charger(request: HttpRequest, code: str, identity: str) -> HttpResponse:
    return charger_page(request, access.charger(request.user, code, identity))


def charger_url(charger: Charger) -> str:
    return reverse("bookings:charger", args=[charger.depot.code, charger.identity])


def charger_page(request: HttpRequest, found: Charger, refusal: BookingError | None = None) -> HttpResponse:
    """The page, with why a button of it could not be carried out."""
    now = timezone.now()
    can_manage = found.depot.operator_id in access.operators_decided_for(request.user)
    context: dict[str, Any] = {
        "charger": found,
        "depot": found.depot,
        "can_manage": can_manage,
        "refusal": words_of(refusal) if refusal is not None else "",
        "buttons": [(verb, refusal_of(found, verb, now=now)) for verb in VERBS.values()]
        if can_manage
        else [],
    }
    for part in PARTS:
        context.update(part(found, now))
    return respond(
        request, "bookings/yard/charger", context, status_of(refusal) if refusal is not None else 200
    )


def _connection(charger: Charger, now: datetime) -> dict[str, Any]:
    return {"is_online": is_online(charger, now=now), "reserving": reserving(charger)}


def _evses(charger: Charger, now: datetime) -> dict[str, Any]:
    evses = list(evses_of(charger.depot).filter(charger=charger))
    return {
        "states": list(states_of(evses, running_at(evses), now=now).values()),
        "armed": armed_reservations(charger, now=now),
    }


def _records(charger: Charger, now: datetime) -> dict[str, Any]:
    commands = command_lines(
        charger.commands.exclude(action__in=IN_SETTINGS)
        .select_related("upload")
        .defer("upload__content")
        .order_by("-id")[:LAST_COMMANDS]
    )
    return {
        "commands": commands[:OPEN_COMMANDS],
        "earlier_commands": commands[OPEN_COMMANDS:],
        "sessions": charger.sessions.select_related("evse").order_by("-started_at", "-id")[:LAST_SESSIONS],
        "messages_seen": charger.messages.order_by("-at", "-id")[:LAST_MESSAGES],
    }


# What the parts of the page show: `(charger, now)` to their context, from a module of each subject. The template of a part
# is one include in yard/_charger.html.
PARTS: tuple[Callable[[Charger, datetime], Mapping[str, Any]], ...] = (
    _connection,
    _evses,
    _records,
    alerts_of,
    history_of,
    security,
    settings_part,
    capability,
    power_of_charger,
)
