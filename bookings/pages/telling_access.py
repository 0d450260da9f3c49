"""Whose webhooks and calendars somebody may see and change; 404 for what is not theirs."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

from bookings.models import CalendarFeed, Vehicle, Webhook, WebhookDelivery
from bookings.pages.memberships import Person, organisation_ids, organisations
from depots.models import Depot, Membership, Organisation
from depots.navigation import BOOKING_ROLES, DECIDING_ROLES

ADMINS = {Membership.Role.ADMIN}


def administered(user: Person) -> list[Organisation]:
    """The organisations whose systems this person looks after, by name; 404 for who does so for none."""
    found = sorted(organisations(user, ADMINS), key=lambda organisation: organisation.name)
    if not found:
        raise Http404
    return found


def administered_organisation(user: Person, organisation_id: int) -> Organisation:
    return get_object_or_404(Organisation, pk=organisation_id, pk__in=organisation_ids(user, ADMINS))


def webhook(user: Person, webhook_id: int) -> Webhook:
    rows = Webhook.objects.select_related("organisation")
    return get_object_or_404(rows, pk=webhook_id, organisation__in=organisation_ids(user, ADMINS))


def delivery(user: Person, webhook_id: int, delivery_id: int) -> WebhookDelivery:
    return get_object_or_404(WebhookDelivery, pk=delivery_id, webhook=webhook(user, webhook_id))


def calendar_fleets(user: Person) -> list[Organisation]:
    """Fleets for whose bookings this person may make a calendar."""
    return sorted(organisations(user, BOOKING_ROLES), key=lambda organisation: organisation.name)


def calendar_vehicles(user: Person) -> QuerySet[Vehicle]:
    rows = Vehicle.objects.filter(fleet__in=organisation_ids(user, BOOKING_ROLES), is_retired=False)
    return rows.select_related("fleet").order_by("plate", "pk")


def calendar_depots(user: Person) -> QuerySet[Depot]:
    """Depots this person runs."""
    rows = Depot.objects.filter(operator__in=organisation_ids(user, DECIDING_ROLES), is_mirror=False)
    return rows.select_related("operator").order_by("name", "pk")


def calendar_feeds(user: Person) -> QuerySet[CalendarFeed]:
    """Those in use that this person may revoke; 404 for who can make none."""
    fleets, operators = organisation_ids(user, BOOKING_ROLES), organisation_ids(user, DECIDING_ROLES)
    if not fleets | operators:
        raise Http404
    mine = Q(organisation__in=fleets, depot=None) | Q(organisation__in=operators, depot__isnull=False)
    rows = CalendarFeed.objects.filter(mine, revoked_at=None)
    return rows.select_related("organisation", "vehicle", "depot").order_by("pk")


def calendar_feed(user: Person, feed_id: int) -> CalendarFeed:
    return get_object_or_404(calendar_feeds(user), pk=feed_id)
