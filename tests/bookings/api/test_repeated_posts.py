"""A POST under a key that was used: the same answer, and nothing done twice."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from bookings.models import Booking, KeptAnswer
from bookings.operations.kept_answers import KEPT, forget_answers
from tests.bookings.api.conftest import Site
from tests.bookings.api.fleet_system import FleetSystem, refused
from tests.factories import NOW, make_fleet, make_vehicle

pytestmark = pytest.mark.django_db


def test_the_same_again_gets_the_same_answer_and_books_once(site: Site) -> None:
    first = site.system.post("/bookings", site.wanted(), key="once")
    again = site.system.post("/bookings/", dict(reversed(site.wanted().items())), key="once")

    assert (again.status_code, again.content) == (201, first.content)
    assert [again[name] for name in ("Location", "ETag", "Content-Type")] == [
        first[name] for name in ("Location", "ETag", "Content-Type")
    ]
    assert again["Idempotency-Replayed"] == "true"
    assert Booking.objects.count() == 1


@pytest.mark.parametrize("change", [{"vehicle": "X-Y 1"}, {"colour": "red"}, {"power_kw": 900}])
def test_a_refusal_is_kept_too(site: Site, change) -> None:
    first = site.system.post("/bookings", site.wanted(**change), key="once")
    if "vehicle" in change:
        make_vehicle(site.fleet, plate="X-Y 1")
    again = site.system.post("/bookings", site.wanted(**change), key="once")

    assert refused(first) == refused(again)
    assert again.content == first.content
    assert refused(site.system.post("/bookings", site.wanted(), key="once")) == (
        422,
        "idempotency_key_reused",
    )


def test_another_address_under_the_same_key_is_refused(site: Site) -> None:
    site.system.post("/bookings", site.wanted(), key="once")

    assert refused(site.system.post("/holds", site.wanted(), key="once")) == (422, "idempotency_key_reused")


def test_a_key_is_its_organisations(site: Site) -> None:
    site.system.post("/bookings", site.wanted(), key="once")
    other = FleetSystem.of(make_fleet())

    assert refused(other.post("/bookings", site.wanted(), key="once")) == (422, "unknown_vehicle")


def test_after_a_day_a_key_is_free_whether_or_not_its_answer_was_cleared_away(site: Site) -> None:
    site.system.post("/bookings", site.wanted(), key="once")

    with time_machine.travel(NOW + KEPT - timedelta(seconds=1), tick=False):
        assert site.system.post("/bookings", site.wanted(), key="once").status_code == 201
    with time_machine.travel(NOW + KEPT, tick=False):
        assert refused(site.system.post("/bookings", site.wanted(), key="once")) == (422, "in_the_past")
    forget_answers(now=NOW + KEPT)
    assert KeptAnswer.objects.count() == 1
    forget_answers(now=NOW + 2 * KEPT)
    assert not KeptAnswer.objects.exists()
