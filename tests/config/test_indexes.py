"""Indexes of the database that nothing needs."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection

# Indexes whose columns are the first of another's, in the same order and of the same rows. Unique ones are promises.
_BEGUN_BY_OTHERS = """
SELECT t.relname, one.relname, other.relname
FROM pg_index x JOIN pg_class one ON one.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_index y ON y.indrelid = x.indrelid AND y.indexrelid <> x.indexrelid JOIN pg_class other ON other.oid = y.indexrelid
WHERE t.relname = ANY(%s) AND NOT x.indisunique AND one.relam = other.relam
  AND x.indpred IS NULL AND y.indpred IS NULL AND x.indexprs IS NULL
  AND (y.indnkeyatts > x.indnkeyatts OR y.indisunique OR one.oid > other.oid)
  AND (x.indkey::int2[])[0:x.indnkeyatts - 1] = (y.indkey::int2[])[0:x.indnkeyatts - 1]
  AND (x.indclass::oid[])[0:x.indnkeyatts - 1] = (y.indclass::oid[])[0:x.indnkeyatts - 1]
ORDER BY 1, 2
"""


@pytest.mark.django_db
def test_no_index_is_the_beginning_of_another():
    """Each is written with every row; the longer one answers what the shorter one does (decision 62)."""
    # Django makes the tables of many-to-many fields by itself.
    ours = [
        model._meta.db_table
        for app in ("depots", "bookings", "roaming")
        for model in apps.get_app_config(app).get_models()
    ]

    with connection.cursor() as cursor:
        cursor.execute(_BEGUN_BY_OTHERS, [ours])

        assert cursor.fetchall() == []
