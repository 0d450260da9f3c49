"""Statements whose answer nobody reads share round trips, and are executed all the same: in order, each once."""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from psycopg import sql

from depots import round_trips
from depots.models import Notice, User

# Nobody else relays the notices that are counted here.
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_server")]

TELL = "INSERT INTO depots_notice (channel, payload) VALUES (%s, %s)"
PREPARED_TELL = round_trips.Prepared(
    "INSERT INTO depots_notice (channel, payload) VALUES (%(channel)s, %(payload)s)"
)
LOCK = round_trips.Locking("SELECT pg_advisory_xact_lock(%s)")
COUNT = round_trips.Prepared(
    "SELECT count(*), 100 %% 7, %(payload)s || %(payload)s FROM depots_notice WHERE channel = %(channel)s"
)


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What psycopg sends, a text a message."""
    sent: list[str] = []
    execute = psycopg.Cursor.execute

    def noted(cursor: psycopg.Cursor, query: str, *rest: object, **more: object) -> object:
        sent.append(query)
        return execute(cursor, query, *rest, **more)

    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    return sent


def told() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT payload FROM depots_notice ORDER BY id")
        return [payload for (payload,) in cursor.fetchall()]


def test_what_is_held_travels_with_the_next_statement_that_is_read(messages):
    with round_trips.atomic():
        del messages[:]
        round_trips.send(TELL, ["a", "1"])
        round_trips.send(TELL, ["a", "2"])

        assert messages == []
        assert told() == ["1", "2"]
        assert len(messages) == 1


def test_savepoints_travel_too(messages):
    with round_trips.atomic():
        del messages[:]
        with transaction.atomic():
            round_trips.send(TELL, ["a", "1"])

        assert told() == ["1"]
        assert len(messages) == 1


def test_what_is_held_at_the_end_is_sent():
    with round_trips.atomic():
        round_trips.send(TELL, ["a", "1"])

    assert told() == ["1"]


def test_a_percent_sign_before_an_s_is_no_place_of_a_value():
    with round_trips.atomic():
        round_trips.send(
            "INSERT INTO depots_notice (channel, payload) VALUES (%s, '5 %%s ' || %s)", ["a", "%s"]
        )

        assert told() == ["5 %s %s"]


def test_outside_of_a_block_a_statement_is_sent_at_once(messages):
    round_trips.send(TELL, ["a", "1"])

    assert len(messages) == 1


def test_a_savepoint_that_is_rolled_back_takes_what_was_held_under_it():
    with round_trips.atomic():
        round_trips.send(TELL, ["a", "kept"])
        with pytest.raises(ZeroDivisionError):
            _tell_and_fail()

    assert told() == ["kept"]


def test_an_error_of_what_was_held_is_raised_and_stops_what_is_behind_it():
    with pytest.raises(DatabaseError, match="division by zero"):
        _divide_and_tell()

    assert told() == []


def test_values_are_written_as_values():
    payload = "%s; DROP TABLE depots_notice; -- 'ü' \\ %(channel)s"
    with round_trips.atomic():
        round_trips.send(
            "INSERT INTO depots_notice (channel, payload) SELECT %(channel)s, %(payload)s WHERE 5 %% 2 = 1",
            {"payload": payload, "channel": "a"},
        )
        round_trips.send(TELL, ["a", payload])

    assert told() == [payload, payload]


def test_rows_read_in_chunks_come_after_what_is_held():
    with round_trips.atomic():
        round_trips.send(TELL, ["a", "1"])

        assert [notice.payload for notice in Notice.objects.iterator()] == ["1"]


@transaction.atomic
def _tell_and_fail() -> None:
    round_trips.send(TELL, ["a", "lost"])
    raise ZeroDivisionError


def _divide_and_tell() -> None:
    with round_trips.atomic():
        round_trips.send("SELECT 1 / %s", [0])
        Notice.objects.create(channel="a", payload="1")


@pytest.mark.django_db(transaction=True)
def test_begin_and_commit_travel_with_what_they_enclose(messages):
    seen: list[bool] = []
    connection.ensure_connection()
    del messages[:]
    with round_trips.atomic():
        round_trips.send(TELL, ["a", "1"])
        transaction.on_commit(lambda: seen.append(connection.in_atomic_block))

    [message] = messages
    first, *_, last = message.split(";\n")
    assert first.startswith("BEGIN")
    assert last == "COMMIT"
    assert (told(), seen, connection.get_autocommit()) == (["1"], [False], True)


@pytest.mark.django_db(transaction=True)
def test_what_others_wait_for_is_given_back_before_the_disk_is_waited_for(messages):
    with round_trips.atomic():
        round_trips.send(LOCK, [7])
        round_trips.send(TELL, ["a", "1"])

    *_, message = messages  # before it the lock is prepared
    *_, no_wait, commit, wait = message.split(";\n")
    assert (no_wait, commit) == ("SET LOCAL synchronous_commit = off", "COMMIT")
    assert "pg_logical_emit_message" in wait
    assert (told(), connection.get_autocommit()) == (["1"], True)


@pytest.mark.django_db(transaction=True)
def test_the_disk_has_what_is_answered_behind_a_lock():
    with round_trips.atomic():
        round_trips.send(LOCK, [7])
        User.objects.create(email="a@example.com")
        [(written,)] = round_trips.rows("SELECT pg_current_wal_insert_lsn()", [])

    assert round_trips.rows("SELECT pg_current_wal_flush_lsn() > %s::pg_lsn", [written]) == [(True,)]


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_fails_at_its_commit_leaves_nothing_behind():
    with pytest.raises(IntegrityError, match="violates foreign key"):
        _tell_and_break_a_key()

    assert (told(), connection.get_autocommit()) == ([], True)


def _tell_and_break_a_key() -> None:
    with round_trips.atomic():
        round_trips.send(TELL, ["a", "1"])
        round_trips.send(
            "INSERT INTO depots_membership (user_id, organisation_id, role) VALUES (%s, 0, 'viewer')", [0]
        )


@pytest.mark.django_db(transaction=True)
def test_a_block_that_reads_first_is_one_transaction():
    with pytest.raises(ZeroDivisionError):
        _read_tell_and_fail()

    assert (told(), connection.get_autocommit(), connection.connection.autocommit) == ([], True, True)


@pytest.mark.django_db(transaction=True)
def test_an_empty_block_sends_nothing(messages):
    connection.ensure_connection()
    del messages[:]
    with round_trips.atomic():
        pass

    assert messages == []
    assert connection.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def _read_tell_and_fail() -> None:
    with round_trips.atomic():
        assert told() == []
        Notice.objects.create(channel="a", payload="1")
        raise ZeroDivisionError


@pytest.mark.django_db(transaction=True)
def test_what_is_held_behind_the_end_of_a_nested_block_is_sent():
    with round_trips.atomic():
        with transaction.atomic():
            Notice.objects.exists()
        round_trips.send(TELL, ["a", "1"])

    assert told() == ["1"]


@pytest.mark.django_db(transaction=True)
def test_what_is_held_in_a_nested_block_behind_a_read_is_sent():
    with round_trips.atomic():
        Notice.objects.exists()
        with transaction.atomic():
            round_trips.send(TELL, ["a", "1"])

    assert told() == ["1"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("many", [False, True])
def test_what_is_held_goes_before_statements_that_cannot_be_joined(many):
    with round_trips.atomic():
        with transaction.atomic():
            Notice.objects.exists()
        round_trips.send(TELL, ["a", "1"])
        if many:
            with connection.cursor() as cursor:
                cursor.executemany(TELL, [["a", "2"], ["a", "3"]])
            assert told() == ["1", "2", "3"]
        else:
            assert [notice.payload for notice in Notice.objects.iterator()] == ["1"]


@pytest.mark.django_db(transaction=True)
def test_a_composed_statement_of_psycopg_is_executed_too():
    with round_trips.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {}").format(sql.Literal(7)))

        assert cursor.fetchall() == [(7,)]


@pytest.mark.django_db(transaction=True)
def test_a_value_that_cannot_be_written_leaves_the_transaction_to_begin():
    with pytest.raises(ZeroDivisionError):
        _read_then_tell_and_fail("SELECT %s", ["a\x00b"])

    assert told() == []


@pytest.mark.django_db(transaction=True)
def test_after_a_first_statement_that_cannot_be_parsed_nothing_is_done_outside_of_the_transaction():
    with pytest.raises(TransactionManagementError):
        _read_then_tell_and_fail("SELEC 1", [])

    assert told() == []


@round_trips.atomic()
def _read_then_tell_and_fail(statement: str, parameters: list[str]) -> None:
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
    Notice.objects.create(channel="a", payload="1")
    raise ZeroDivisionError


def test_what_is_asked_for_is_answered_with_what_is_read_next(messages):
    with round_trips.atomic():
        round_trips.send(TELL, ["a", "1"])
        payloads = round_trips.ask("SELECT payload FROM depots_notice WHERE channel = %s", ["a"])
        round_trips.send(TELL, ["a", "2"])
        none = round_trips.ask("SELECT payload FROM depots_notice WHERE channel = %s", ["b"])
        del messages[:]

        assert told() == ["1", "2"]
        assert (payloads.rows, none.rows) == ([("1",)], [])
        assert len(messages) == 1


def test_what_is_asked_for_last_is_answered_at_the_end():
    with round_trips.atomic():
        answer = round_trips.ask("SELECT 1", [])

    assert answer.rows == [(1,)]


def test_outside_of_a_block_what_is_asked_for_is_there_at_once():
    assert round_trips.ask(COUNT, {"channel": "a", "payload": "%s"}).rows == [(0, 2, "%s%s")]


@pytest.mark.django_db(transaction=True)
def test_a_prepared_statement_is_sent_once_a_connection_and_executed_each_time(messages):
    for _ in range(2):
        connect_anew()
        del messages[:]
        for payload in ("'%s'", "2"):
            with round_trips.atomic():
                round_trips.send(PREPARED_TELL, {"payload": payload, "channel": "a"})
                counted = round_trips.ask(COUNT, {"payload": payload, "channel": "a"})

        prepared = [message.partition(" AS ")[2] for message in messages if message.startswith("PREPARE ")]
        assert [text.split()[0] for text in prepared] == ["INSERT", "SELECT"]

    assert counted.rows == [(4, 2, "22")]
    assert told() == ["'%s'", "2"] * 2


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_block_too_a_prepared_statement_is_sent_once_a_connection(messages):
    connect_anew()
    for payload in ("it's", "%s"):
        round_trips.send(PREPARED_TELL, {"payload": payload, "channel": "a"})
    counted = round_trips.ask(COUNT, {"payload": "2", "channel": "a"})

    sent = [message.split()[0] for message in messages if "berth_" in message]
    assert sent == ["PREPARE", "EXECUTE", "EXECUTE", "PREPARE", "EXECUTE"]
    assert counted.rows == [(2, 2, "22")]
    assert told() == ["it's", "%s"]


@pytest.mark.django_db(transaction=True)
def test_what_was_prepared_outlasts_a_transaction_that_is_rolled_back(messages):
    connect_anew()
    for payload in ("lost", "kept"):
        with suppress(ZeroDivisionError):
            _tell_prepared(payload)

    assert told() == ["kept"]
    assert sum(message.startswith("PREPARE ") for message in messages) == 1


def _tell_prepared(payload: str) -> None:
    with round_trips.atomic():
        round_trips.send(PREPARED_TELL, {"payload": payload, "channel": "a"})
        Notice.objects.count()
        1 / (payload != "lost")


def connect_anew() -> None:
    connection.close()
    connection.close_pool()


@pytest.mark.django_db(transaction=True)
def test_a_log_of_queries_shows_what_a_prepared_statement_says():
    with CaptureQueriesContext(connection) as logged, round_trips.atomic():
        round_trips.send(PREPARED_TELL, {"payload": "1", "channel": "a"})

    assert any("INSERT INTO depots_notice" in query["sql"] for query in logged.captured_queries)
