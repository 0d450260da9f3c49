from datetime import timedelta

import pytest

from depots.operations import forget_old_messages, keep_messages
from depots.operations.message_log import KEPT_FOR, LONGEST_FRAME, LoggedFrame
from tests.factories import NOW, make_charger

pytestmark = pytest.mark.django_db


def message(charger_id: int, age_s: float = 0, **fields) -> LoggedFrame:
    told = {"is_incoming": True, "action": "Heartbeat", "frame": "[2]", **fields}
    return LoggedFrame(charger_id=charger_id, at=NOW - timedelta(seconds=age_s), **told)


def test_frames_of_a_charger_that_is_gone_do_not_lose_the_others():
    charger = make_charger()

    keep_messages([message(charger.pk), message(999_999), message(charger.pk)])

    assert charger.messages.count() == 2


def test_a_long_frame_is_cut():
    charger = make_charger()

    keep_messages([message(charger.pk, frame="x" * 100_000, action="a" * 100)])

    kept = charger.messages.get()
    assert (len(kept.frame), len(kept.action)) == (LONGEST_FRAME, 60)


def test_old_frames_are_forgotten():
    charger = make_charger()
    keep_messages([message(charger.pk, KEPT_FOR.total_seconds() + 1), message(charger.pk, 1)])

    forget_old_messages(now=NOW)

    assert charger.messages.count() == 1


def test_each_charger_keeps_its_newest_frames_only(monkeypatch):
    monkeypatch.setattr("depots.operations.message_log.KEPT_PER_CHARGER", 3)
    busy, quiet = make_charger(), make_charger()
    keep_messages([message(busy.pk, age, frame=str(age)) for age in range(10)])
    keep_messages([message(quiet.pk, 100)])

    forget_old_messages(now=NOW)

    assert list(busy.messages.order_by("-at").values_list("frame", flat=True)) == ["0", "1", "2"]
    assert quiet.messages.count() == 1


def test_each_charger_keeps_as_many_frames_as_its_room_holds(monkeypatch):
    monkeypatch.setattr("depots.operations.message_log.KEPT_BYTES_PER_CHARGER", 100)
    wordy, terse = make_charger(), make_charger()
    keep_messages([message(wordy.pk, age, frame="x" * 40) for age in range(5)])
    keep_messages([message(terse.pk, age, frame="x" * 10) for age in range(5)])

    forget_old_messages(now=NOW)

    assert sorted(wordy.messages.values_list("at", flat=True)) == [
        NOW - timedelta(seconds=age) for age in (1, 0)
    ]
    assert terse.messages.count() == 5
