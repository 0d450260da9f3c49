"""What an actor is called and for whom it acts; and what was one text before kinds were kept."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from bookings.actors import SCHEDULER, Actor, ActorKind
from bookings.models import BookingEvent
from bookings.pages.history import moments
from tests.factories import book_slot, make_evse, make_vehicle, option_of, slot

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("text", "actor"),
    [
        ("anna@fleet.example", Actor(ActorKind.PERSON, "anna@fleet.example")),
        ("partner DE*ABC", Actor.partner("DE", "ABC")),
        ("partner", Actor(ActorKind.PARTNER, "")),
        ("charger CP-1", Actor.charger("CP-1")),
        ("scheduler", SCHEDULER),
        ("operator command", Actor(ActorKind.COMMAND, "operator command")),
    ],
)
def test_an_event_from_before_kinds_were_kept_means_what_it_meant(text, actor):
    event = _booking().events.get()
    BookingEvent.objects.filter(pk=event.pk).update(actor_kind="", actor_name=text)

    with connection.schema_editor() as editor:
        import_module("bookings.migrations.0009_actors").tell_apart(apps, editor)

    event = BookingEvent.objects.get(pk=event.pk)
    assert (event.actor, str(event.actor)) == (actor, text)


@pytest.mark.parametrize(
    ("actor", "to_fleet", "to_depot"),
    [
        (Actor.dispatcher("gone@fleet.example"), "Nordfracht", "Nordfracht"),
        (Actor.manager("gone@depot.example"), "Ladepark", "Ladepark"),
        (Actor(ActorKind.PERSON, "gone@somewhere.example"), "Ladepark", "Nordfracht"),
        (Actor.charger("CP-1"), "Charger CP-1", "Charger CP-1"),
        (Actor.partner("de", "abc"), "Partner DE*ABC", "Partner DE*ABC"),
        (SCHEDULER, "Berth", "Berth"),
    ],
)
def test_of_strangers_only_the_side_they_act_for_is_named(actor, to_fleet, to_depot):
    booking = _booking(actor=actor)

    told = [moments(booking, organisation_ids=[], is_fleet=is_fleet)[-1].by for is_fleet in (True, False)]

    assert told == [to_fleet, to_depot]


def _booking(**asked):
    evse = make_evse()
    evse.depot.operator.name = "Ladepark"
    evse.depot.operator.save()
    truck = make_vehicle()
    truck.fleet.name = "Nordfracht"
    truck.fleet.save()
    return book_slot(fleet=truck.fleet, option=option_of(evse), vehicle=truck, period=slot(10, 11), **asked)
