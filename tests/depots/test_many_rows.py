"""Many rows inserted as one document of JSON: what bulk_create would have written, to the last value."""

from __future__ import annotations

from typing import Any

import pytest

from bookings.models import Occupancy
from depots.many_rows import insert_many
from depots.models import ChargerCommand
from depots.periods import Period
from tests.factories import at, make_charger

pytestmark = pytest.mark.django_db
ODD = 'Łódź "1"\n\\u00e9 {} ; \' %s 🚚'


def make_commands() -> list[ChargerCommand]:
    charger = make_charger()
    return [
        ChargerCommand(charger=charger, action="reserve", created_at=at(8)),
        ChargerCommand(
            charger=charger, action="reserve", reservation_id=2**60, payload={"a": [1, 2.5, None, ODD], "b": {"c": True}},
            answer=ODD[:40], asked_by="somebody", created_at=at(8), not_before=at(9), not_after=at(10),
        ),
    ]  # fmt: skip


def values(command: ChargerCommand) -> dict[str, Any]:
    return {field.attname: getattr(command, field.attname) for field in command._meta.concrete_fields[1:]}


def test_rows_are_as_bulk_create_writes_them() -> None:
    insert_many(given := make_commands())
    other = ChargerCommand.objects.bulk_create(
        ChargerCommand(**values(command)) for command in ChargerCommand.objects.order_by("id")
    )
    stored = [values(command) for command in ChargerCommand.objects.order_by("id")]
    assert stored[: len(given)] == stored[len(given) :]
    assert len(stored) == len(given) + len(other)
    assert stored[1]["payload"] == {"a": [1, 2.5, None, ODD], "b": {"c": True}}


def test_keys_are_those_of_the_rows_in_their_order() -> None:
    insert_many(given := make_commands())
    assert [command.pk for command in given] == list(
        ChargerCommand.objects.order_by("id").values_list("pk", flat=True)
    )
    given[1].answer = "accepted"
    given[1].save()
    assert ChargerCommand.objects.get(answer="accepted").reservation_id == 2**60


def test_nothing_is_inserted_for_nothing() -> None:
    insert_many([])
    assert not ChargerCommand.objects.exists()


def test_a_model_with_a_column_that_json_does_not_carry_is_refused() -> None:
    with pytest.raises(TypeError, match="span"):
        insert_many([Occupancy(span=Period(at(8), at(9)))])
