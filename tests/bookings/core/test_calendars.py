"""Which calendars are told of: a change leaves a mark, and a tick raises what was marked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from bookings.core.calendars import mark_changed, mark_depot_changed, one_operation, raise_marked
from bookings.models import BookingOption, CalendarMark
from depots.models import Evse
from tests.factories import NOW, make_charger, make_depot, make_evse, make_option, option_of

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(seconds=1)


def tick() -> list[str]:
    """The codes of the offers it raises."""
    ids = raise_marked(lambda: LATER)
    return sorted(BookingOption.objects.filter(pk__in=ids).values_list("code", flat=True))


def version(evse: Evse) -> int:
    return option_of(evse).calendar_version


def test_a_change_writes_one_mark_and_touches_no_offer() -> None:
    one, two = make_evse(uid="ONE"), make_evse(uid="TWO")

    with CaptureQueriesContext(connection) as captured, one_operation():
        mark_changed([one.pk], at=NOW)
        mark_changed([two.pk, one.pk, None], at=NOW)

    written = [q["sql"] for q in captured if "bookings_" in q["sql"]]
    assert len(written) == 1
    assert "bookings_calendarmark" in written[0]
    assert version(one) == version(two) == 1
    assert tick() == ["ONE", "TWO"]


def test_many_changes_before_a_tick_raise_a_calendar_once() -> None:
    evse = make_evse(uid="ONE")
    for _ in range(5):
        mark_changed([evse.pk], at=NOW)

    assert tick() == ["ONE"]
    assert version(evse) == 2
    assert option_of(evse).updated_at == LATER
    assert tick() == []
    assert not CalendarMark.objects.exists()


def test_every_offer_of_an_evse_is_raised_and_no_other() -> None:
    depot = make_depot()
    one, two = make_evse(depot, uid="ONE"), make_evse(depot, uid="TWO")
    make_option(one, two, code="POOL")
    make_option(one, code="COPY", is_mirror=True)
    mark_changed([one.pk], at=NOW)

    assert tick() == ["ONE", "POOL"]
    assert version(two) == 1


@pytest.mark.parametrize("where", ["grid", "cabinet"])
def test_what_shares_a_limit_of_power_is_raised_too(where: str) -> None:
    depot = make_depot(grid_limit_w=500_000 if where == "grid" else None)
    cabinet: dict[str, Any] = (
        {"cabinet": "A", "cabinet_limit_w": 500_000} if where == "cabinet" else {"cabinet": "A"}
    )
    one, two = (make_evse(charger=make_charger(depot, **cabinet), uid=uid) for uid in ("ONE", "TWO"))
    make_evse(make_depot(), uid="FAR")
    mark_changed([two.pk], at=NOW)

    assert tick() == ["ONE", "TWO"]
    assert version(one) == 2


def test_a_depot_marked_is_all_it_offers() -> None:
    depot = make_depot()
    make_evse(depot, uid="ONE")
    bare = make_evse(depot, uid="BARE")
    option_of(bare).evses.clear()
    make_evse(uid="FAR")

    mark_depot_changed(depot.pk, at=NOW)

    assert tick() == ["BARE", "ONE"]


def test_what_is_rolled_back_is_not_told() -> None:
    evse = make_evse()
    with transaction.atomic():
        mark_changed([evse.pk], at=NOW)
        transaction.set_rollback(True)

    assert tick() == []


def test_when_a_calendar_changed_never_goes_back() -> None:
    evse = make_evse(uid="ONE")
    BookingOption.objects.update(updated_at=LATER + timedelta(hours=1))
    mark_changed([evse.pk], at=NOW)

    assert tick() == ["ONE"]
    assert option_of(evse).updated_at == LATER + timedelta(hours=1)
