"""How the database is emptied after a test that committed: only the tables that it wrote to.

Django truncates all tables, which costs several new files a table and index, and then makes content types and
permissions anew: more time than most such tests take themselves.
"""

from functools import cache

from django.core.management import call_command
from django.db import connection, transaction
from django.test import TransactionTestCase

# What `migrate` writes, and no test does.
KEPT = {"django_content_type", "auth_permission"}
QUEUE = "dramatiq.queue"  # not one of Django's models


def empty_what_was_written(_: TransactionTestCase) -> None:
    """In place of TransactionTestCase._fixture_teardown, with the same end: no row of a test is left."""
    if not _may_skip_triggers():
        call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=False)
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {QUEUE}")
        return
    tables = _tables()
    with transaction.atomic(), connection.cursor() as cursor:
        # Waits for what a thread or process of the test is still writing, as TRUNCATE would.
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(" UNION ALL ".join(f"(SELECT '{table}' FROM {table} LIMIT 1)" for table in tables))
        written = [table for (table,) in cursor.fetchall()]
        # Rows that refer to one another all go; those that may not be deleted, such as invoices, as well.
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table in written:
            cursor.execute(f"DELETE FROM {table}")


@cache
def _tables() -> tuple[str, ...]:
    quote = connection.ops.quote_name
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return (*(quote(name) for name in sorted(names) if name not in KEPT), QUEUE)


@cache
def _may_skip_triggers() -> bool:
    """The owner of the test run's own server may; on a server that DATABASE_URL names, perhaps not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_parameter_privilege('session_replication_role', 'SET')")
        may: bool = cursor.fetchone()[0]
        return may
