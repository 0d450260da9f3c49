"""Which facts open pages hear of. Each runs in its sender's transaction and only tells."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from bookings.models import Booking
from bookings.pages.live.audiences import calendar_audience, depot_audience, evse_audiences, fleet_audience
from bookings.pages.live.publishing import publish, publish_access, publish_all
from bookings.pages.live.rendering import Views, renders_all
from bookings.pages.navigation import waiting_requests
from bookings.signals import booking_changed, closures_changed
from depots.models import Agreement, Charger, ChargerCommand, Evse, Membership, User
from depots.signals import (
    charger_connected,
    charger_disconnected,
    chargers_changed,
    command_progressed,
    command_settled,
    evse_status_changed,
    evses_changed,
)


@receiver(booking_changed)
def tell_of_booking(booking: Booking, **_: Any) -> None:
    depot, audiences = depot_audience(booking.depot_id), booking_audiences(booking)
    changes = [("booking", booking.pk, audiences), ("requests", booking.depot_id, [depot])]
    if booking.is_ours:
        changes.append(("bar", booking.pk, audiences))
    publish_all(changes)


@receiver(closures_changed)
def tell_of_closure(depot_id: int, **_: Any) -> None:
    publish("closures", depot_id, [depot_audience(depot_id), calendar_audience(depot_id)])


@receiver(evse_status_changed)
def tell_of_evse(evse: Evse, is_together: bool = False, **_: Any) -> None:
    if not is_together:  # those are told of together
        publish("evse", evse.pk, evse_audiences(evse.depot_id))


@receiver([charger_connected, charger_disconnected])
def tell_of_charger(charger: Charger, is_together: bool = False, **_: Any) -> None:
    if not is_together:
        publish("charger", charger.pk, evse_audiences(charger.depot_id))


@receiver([command_settled, command_progressed])
def tell_of_command(command: ChargerCommand, **_: Any) -> None:
    if command.asked_by:  # somebody looks at the charger's page and waits
        publish("charger", command.charger_id, evse_audiences(command.charger.depot_id))


@receiver(evses_changed)
def tell_of_evses(evses: list[Evse], **_: Any) -> None:
    publish_all(("evse", evse.pk, evse_audiences(evse.depot_id)) for evse in evses)


@receiver(chargers_changed)
def tell_of_chargers(chargers: list[Charger], **_: Any) -> None:
    publish_all(("charger", charger.pk, evse_audiences(charger.depot_id)) for charger in chargers)


@receiver(user_logged_out)
def check_who_signed_out(user: User | None, **_: Any) -> None:
    if user is not None:
        publish_access(user.pk)


@receiver(post_save, sender=User)
def check_a_changed_user(instance: User, update_fields: frozenset[str] | None = None, **_: Any) -> None:
    if set(update_fields or ()) != {"last_login"}:  # every sign-in writes this one, and takes nothing away
        publish_access(instance.pk)


@receiver([post_save, post_delete], sender=Membership)
def check_a_member(instance: Membership, **_: Any) -> None:
    publish_access(instance.user_id)


@receiver([post_save, post_delete], sender=Agreement)
def check_everybody(**_: Any) -> None:
    publish_access()


@renders_all("requests")
def render_requests(depot_ids: list[int]) -> dict[int, Views]:
    waiting = waiting_requests(depot_ids)
    return {pk: {depot_audience(pk): {"depot": pk, "waiting": waiting[pk]}} for pk in depot_ids}


def booking_audiences(booking: Booking) -> list[str]:
    """Who else may book there hears of taken time only (bookings.pages.live.board), not even of a booking's number."""
    return [fleet_audience(booking.fleet_id), depot_audience(booking.depot_id)]
