"""Records that were there before two parties of a partner could use one id (migration bookings 0058)."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from bookings.models import ChargeDetailRecord
from tests.factories import make_depot
from tests.money_factories import make_cdr, new_cdr

pytestmark = pytest.mark.django_db


def test_received_records_are_named_by_their_party_and_ours_by_none() -> None:
    depot = make_depot()
    told = {"depot": depot, "number": None, "received": {"id": "X"}}
    place = {"country_code": "fr", "party_id": "Cpo"}
    ours = make_cdr(depot=depot, code="X-1", place={"country_code": "NL", "party_id": "LPK"})
    theirs = make_cdr(**told, code="X-2", place=place)
    placeless = make_cdr(**told, code="X-3", place={})
    migration = MigrationExecutor(connection).loader.get_migration("bookings", "0058_parties_of_records")
    state = MigrationExecutor(connection).loader.project_state(migration.dependencies)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with connection.schema_editor() as editor:
        migration.unapply(state.clone(), editor)
    with connection.cursor() as cursor:
        columns = connection.introspection.get_table_description(cursor, ChargeDetailRecord._meta.db_table)
    assert "party" not in {column.name for column in columns}
    with connection.schema_editor() as editor:
        migration.apply(state.clone(), editor)

    parties = dict(ChargeDetailRecord.objects.values_list("pk", "party"))
    assert parties == {ours.pk: "", theirs.pk: "FR*CPO", placeless.pk: "*"}
    make_cdr(**told, code="X-2", place={"country_code": "FR", "party_id": "OTH"})
    with pytest.raises(IntegrityError, match="cdr_code_once"), transaction.atomic():
        new_cdr(**told, code="x-2", place=place).save(force_insert=True)
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        ChargeDetailRecord.objects.filter(pk=theirs.pk).update(place={})
