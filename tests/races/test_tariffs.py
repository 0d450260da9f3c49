"""A tariff that is withdrawn while somebody binds it."""

from __future__ import annotations

from contextlib import suppress
from threading import BrokenBarrierError

import pytest

from bookings.actors import COMMAND
from bookings.errors import ChangedMeanwhile
from bookings.models import Tariff, TariffBinding
from bookings.operations import tariffs
from bookings.operations.tariffs import TariffDraft, set_tariffs, version_of_tariff, withdraw_tariff
from bookings.pricing.tariff_content import TariffContent
from bookings.rules.tariff_bindings import LAST_MOMENT, Owner
from tests.factories import NOW, make_depot
from tests.money_factories import per_kwh
from tests.races.processes import all_at_once, rendezvous

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]


def test_a_tariff_withdrawn_while_somebody_binds_it_is_not_both(monkeypatch):
    """It holds nowhere yet, so that who withdraws it locks no depot."""
    depot = make_depot()
    operator = depot.operator
    content = TariffContent("EUR", (per_kwh("0.40"),))

    def draft(*depots) -> TariffDraft:
        bind_to = tuple(Owner("depot", depot.pk) for depot in depots)
        return TariffDraft(operator=operator, code="T1", content=content, bind_to=bind_to)

    set_tariffs([draft()], actor=COMMAND, now=NOW)
    tariff = Tariff.objects.get()
    seen, bound, withdrawn = version_of_tariff(tariff), rendezvous(2), rendezvous(2)

    def bind() -> str:
        real = tariffs.bind

        def and_wait(*args, **options):
            done = real(*args, **options)
            bound.wait(10)
            with suppress(BrokenBarrierError):
                withdrawn.wait(1)
            return done

        monkeypatch.setattr(tariffs, "bind", and_wait)
        set_tariffs([draft(depot)], actor=COMMAND, now=NOW)
        return "bound"

    def withdraw() -> str:
        bound.wait(10)
        with suppress(ChangedMeanwhile):
            withdraw_tariff(tariff, seen_version=seen, now=NOW)
            with suppress(BrokenBarrierError):
                withdrawn.wait(1)
            return "withdrawn"
        return "told"

    assert all_at_once([bind, withdraw]) == ["bound", "told"]
    tariff.refresh_from_db()
    assert not tariff.is_withdrawn
    assert TariffBinding.objects.filter(valid__endswith=LAST_MOMENT).count() == 1
