"""Setting tariffs: a change is a new version, the same is none, and each owner has one tariff of a kind at a moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bookings.actors import COMMAND
from bookings.errors import ChangedMeanwhile, TariffRefused
from bookings.models import CalendarMark, Tariff, TariffBinding, TariffVersion
from bookings.operations.open_depot import open_depot as open_to
from bookings.operations.tariffs import (
    SetTariff,
    TariffDraft,
    set_tariffs,
    version_of_tariff,
    withdraw_tariff,
)
from bookings.pricing.tariff_content import ElementUse, TariffContent, TariffElement
from bookings.rules import configuration
from bookings.rules.tariff_bindings import Owner, Tariffs
from depots.models import Evse
from tests.factories import NOW, make_depot, make_evse, make_fleet, open_depot, option_of
from tests.money_factories import flat, per_kwh

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(days=7)


@pytest.fixture
def evse() -> Evse:
    return make_evse()


def draft(evse: Evse, *elements: TariffElement, currency: str = "EUR", **more: Any) -> TariffDraft:
    """A tariff of the depot, bound to it."""
    content = TariffContent(currency, elements or (per_kwh("0.40"),))
    fields = {"code": "T1", "bind_to": (Owner("depot", evse.depot_id),), **more}
    return TariffDraft(operator=evse.depot.operator, content=content, **fields)


def set_tariff(*drafts: TariffDraft, now: Any = NOW) -> list[SetTariff]:
    return set_tariffs(drafts, actor=COMMAND, now=now).tariffs


def held(evse: Evse, at: Any = NOW) -> Tariffs:
    there = configuration.current(evse.depot_id)
    return there.tariffs_for(option_of(evse).pk, evse.pk, make_fleet().pk, at=at)


def fields(refused: pytest.ExceptionInfo[TariffRefused]) -> list[tuple[int, str, int | None]]:
    return [(number, fault.field, fault.component) for number, fault in refused.value.faults]


def test_a_tariff_is_made_and_holds_where_it_is_bound(evse):
    [made] = set_tariff(draft(evse, name="By day"))

    found = held(evse).charging
    assert (made.outcome, found.code, found.name, found.number) == ("created", "T1", "By day", 1)
    assert CalendarMark.objects.exists()


def test_set_again_the_same_changes_nothing(evse):
    set_tariff(draft(evse))
    before = list(TariffBinding.objects.values()), list(TariffVersion.objects.values())

    [again] = set_tariff(draft(evse), now=LATER)

    assert again.outcome == "unchanged"
    assert (list(TariffBinding.objects.values()), list(TariffVersion.objects.values())) == before


def test_a_change_is_a_new_version_from_now_on(evse):
    set_tariff(draft(evse))

    [changed] = set_tariff(draft(evse, per_kwh("0.50")), now=LATER)

    assert changed.outcome == "updated"
    assert held(evse, LATER - timedelta(seconds=1)).charging.number == 1
    assert held(evse, LATER).charging.number == 2
    assert TariffBinding.objects.count() == 1


def test_a_change_from_a_date_on_waits_for_it(evse):
    set_tariff(draft(evse))

    set_tariff(draft(evse, per_kwh("0.50"), starts_at=LATER))

    assert held(evse).charging.number == 1
    assert held(evse, LATER).charging.number == 2
    assert [one.outcome for one in set_tariff(draft(evse, per_kwh("0.50"), starts_at=LATER))] == ["unchanged"]


def test_what_is_planned_stays_planned_when_today_is_corrected(evse):
    set_tariff(draft(evse))
    set_tariff(draft(evse, per_kwh("0.50"), starts_at=LATER))

    set_tariff(draft(evse, per_kwh("0.45")))

    assert [held(evse, at).charging.number for at in (NOW, LATER)] == [3, 2]


def test_an_end_of_the_same_is_no_version(evse):
    set_tariff(draft(evse))

    [ended] = set_tariff(draft(evse, ends_at=LATER))

    assert (ended.outcome, TariffVersion.objects.get().ends_at) == ("updated", LATER)


def test_another_tariff_of_the_kind_takes_the_place_of_the_one_before(evse):
    set_tariff(draft(evse))

    [second] = set_tariff(draft(evse, code="T2", starts_at=LATER))

    assert [tariff.code for tariff in second.replaced] == ["T1"]
    assert [held(evse, at).charging.code for at in (NOW, LATER)] == ["T1", "T2"]


def test_what_is_no_longer_named_is_unbound(evse):
    set_tariff(draft(evse))

    set_tariff(draft(evse, bind_to=(Owner("evse", evse.pk),)), now=LATER)

    assert TariffBinding.objects.get(depot__isnull=False).valid.ends_at == LATER
    assert TariffBinding.objects.get(evse=evse).valid.starts_at == LATER


def test_without_a_word_about_it_bindings_stay(evse):
    set_tariff(draft(evse))

    set_tariff(draft(evse, per_kwh("0.50"), bind_to=None))

    assert held(evse).charging.number == 2


def test_one_fault_among_many_leaves_nothing_behind(evse):
    with pytest.raises(TariffRefused) as refused:
        set_tariff(draft(evse), draft(evse, per_kwh("-1"), code="T2", bind_to=None))

    assert fields(refused) == [(1, "price", 0)]
    assert not Tariff.objects.exists()


def test_two_tariffs_of_a_kind_at_one_owner_are_refused(evse):
    with pytest.raises(TariffRefused) as refused:
        set_tariff(draft(evse), draft(evse, code="T2"))

    assert fields(refused) == [(1, "bind", 0)]
    assert [one.outcome for one in set_tariff(draft(evse), draft(evse, flat(5), code="T2"))] == [
        "created"
    ] * 2


def test_one_code_twice_is_refused(evse):
    with pytest.raises(TariffRefused) as refused:
        set_tariff(draft(evse, bind_to=None), draft(evse, code="t1", bind_to=None))

    assert fields(refused) == [(1, "code", None)]


def test_what_is_somebody_elses_or_nobodys_is_refused(evse):
    theirs = (Owner("depot", make_depot().pk), Owner("evse", evse.pk), Owner("option", 0))

    with pytest.raises(TariffRefused) as refused:
        set_tariff(draft(evse, bind_to=theirs))

    assert fields(refused) == [(0, "bind", 0), (0, "bind", 2)]


def test_a_tariff_that_is_over_is_refused(evse):
    with pytest.raises(TariffRefused) as refused:
        set_tariff(draft(evse, ends_at=NOW))

    assert fields(refused) == [(0, "ends_at", None)]


def test_a_tariff_of_charging_never_becomes_one_of_booking(evse):
    set_tariff(draft(evse))

    with pytest.raises(TariffRefused) as refused:
        set_tariff(draft(evse, flat("5", ElementUse.NO_SHOW)))

    assert fields(refused) == [(0, "use", None)]


def test_one_booking_never_costs_two_currencies(evse):
    set_tariff(draft(evse))

    with pytest.raises(TariffRefused) as refused:
        set_tariff(draft(evse, flat("5"), code="T2", currency="SEK", bind_to=(Owner("evse", evse.pk),)))

    assert fields(refused) == [(0, "currency", None)]
    assert Tariff.objects.count() == 1


def test_nor_for_a_guest_by_agreement_or_from_a_later_day_on(evse):
    agreement = open_depot(evse.depot, make_fleet())
    set_tariff(draft(evse), draft(evse, flat("5"), code="T2"))

    with pytest.raises(TariffRefused):
        set_tariff(draft(evse, currency="SEK", code="T3", bind_to=(Owner("agreement", agreement.pk),)))
    with pytest.raises(TariffRefused):
        set_tariff(draft(evse, per_kwh("4"), currency="SEK", starts_at=LATER))
    both = draft(evse, per_kwh("4"), currency="SEK"), draft(evse, flat("50"), code="T2", currency="SEK")
    assert [one.outcome for one in set_tariff(*both)] == ["updated"] * 2


def test_who_looked_at_an_older_version_is_told(evse):
    set_tariff(draft(evse))
    seen = version_of_tariff(Tariff.objects.get())
    set_tariff(draft(evse, per_kwh("0.50")))

    with pytest.raises(ChangedMeanwhile):
        set_tariff(replace(draft(evse, per_kwh("0.60")), seen_version=seen))


def test_who_looked_before_it_was_bound_elsewhere_or_lost_its_place_is_told(evse):
    """The form would give it back where another tariff has taken over, and take away what somebody else has bound."""
    set_tariff(draft(evse), draft(evse, flat("5"), code="T2"))
    seen = version_of_tariff(Tariff.objects.get(code="T1"))

    set_tariff(draft(evse, per_kwh("0.50"), code="T3"))
    with pytest.raises(ChangedMeanwhile):
        set_tariff(replace(draft(evse, per_kwh("0.60")), seen_version=seen))
    seen = version_of_tariff(Tariff.objects.get(code="T1"))
    set_tariff(draft(evse, bind_to=(Owner("evse", evse.pk),)))
    with pytest.raises(ChangedMeanwhile):
        withdraw_tariff(Tariff.objects.get(code="T1"), seen_version=seen, now=LATER)


def test_a_withdrawn_tariff_holds_nowhere_and_can_be_taken_up_again(evse):
    set_tariff(draft(evse))

    tariff = Tariff.objects.get()
    withdraw_tariff(tariff, seen_version=version_of_tariff(tariff), now=LATER)
    assert held(evse, LATER) == (None, None)
    [again] = set_tariff(draft(evse), now=LATER)

    assert again.outcome == "updated"
    assert held(evse, LATER).charging.number == 1


def test_warnings_come_with_what_was_set(evse):
    [made] = set_tariff(draft(evse, per_kwh("0.40"), per_kwh("0.30", min_kwh=5)))

    assert [(fault.field, fault.element) for fault in made.warnings] == [("dimension", 1)]


def test_a_depot_is_opened_to_nobody_who_would_pay_in_two_currencies(evse):
    """An agreement that had ended keeps its tariff; the depot's may be in another currency by now."""
    guest = make_fleet()
    agreement = open_depot(evse.depot, guest)
    bind_to = (Owner("agreement", agreement.pk),)
    set_tariff(draft(evse, flat("5"), code="T2"), draft(evse, currency="EUR", code="T3", bind_to=bind_to))
    agreement.ends_at = LATER
    agreement.save()
    set_tariff(draft(evse, flat("5"), code="T2", currency="CHF"), now=LATER)

    with pytest.raises(TariffRefused, match="currency: T3 is in EUR, T2 in CHF"):
        open_to(depot=evse.depot, guest=guest, now=LATER + timedelta(days=1))

    agreement.refresh_from_db()
    assert agreement.ends_at == LATER
