"""What a charger says may come over two sockets at the same moment: the old one's last words and the new one's first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from depots import operations
from depots.models import ChargingSession, Evse, SessionEvent
from depots.operations import sessions, transaction_events
from tests.factories import NOW, make_evse
from tests.races.processes import at_once
from tests.races.removed_guards import Constraint, attempt, meeting_before

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]


def without_evse_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(charger_id: int) -> dict[int, Evse]:
        return {evse.number: evse for evse in Evse.objects.filter(charger=charger_id)}

    monkeypatch.setattr(sessions, "lock_evses_beside", read)


@pytest.mark.parametrize("guard", ["lock", "constraint", "none"])
def test_a_start_told_twice_at_once_is_one_session(monkeypatch, guard):
    """The lock of EVSEs lets the second see the first; without it start_once refuses the second."""
    evse = make_evse()
    start = operations.Start(evse_number=1, token_uid="04AA", key="1|04AA|10:00", at=NOW)
    if guard != "lock":
        without_evse_locks(monkeypatch)
        meeting_before(monkeypatch, sessions, "end_abandoned")

    answers, begun = _told_twice(
        lambda: operations.start_session(charger_id=evse.charger_id, start=start, now=NOW),
        Constraint("depots_chargingsession", "start_once") if guard == "none" else None,
        ChargingSession.objects.count,
    )

    assert begun == (2 if guard == "none" else 1)
    assert answers == ({"done": 1, "IntegrityError": 1} if guard == "constraint" else {"done": 2})


@pytest.mark.parametrize("guard", ["lock", "constraint", "none"])
def test_a_transaction_told_twice_at_once_is_one_session_with_one_event(monkeypatch, guard):
    """transaction_once: who comes second takes the session that the first has made."""
    evse = make_evse()
    report = operations.TransactionReport("T-1", 0, "started", NOW, evse_number=1, token_uid="04AA")
    if guard != "lock":
        without_evse_locks(monkeypatch)
        meeting_before(monkeypatch, transaction_events, "end_abandoned")

    answers, made = _told_twice(
        lambda: operations.record_transaction(charger_id=evse.charger_id, report=report, now=NOW),
        Constraint("depots_chargingsession", "transaction_once") if guard == "none" else None,
        lambda: (ChargingSession.objects.count(), SessionEvent.objects.count()),
    )

    assert made == ((2, 2) if guard == "none" else (1, 1))
    assert answers == {"done": 2}


@pytest.mark.parametrize("guard", ["lock", "constraint", "none"])
def test_an_event_told_twice_at_once_counts_once(monkeypatch, guard):
    """session_event_once, behind the locks of EVSEs and of the session."""
    evse = make_evse()
    begun = operations.TransactionReport("T-1", 0, "started", NOW, evse_number=1, token_uid="04AA")
    operations.record_transaction(charger_id=evse.charger_id, report=begun, now=NOW)
    report = operations.TransactionReport("T-1", 1, "updated", NOW, evse_number=1)
    if guard != "lock":
        without_evse_locks(monkeypatch)
        monkeypatch.setattr(transaction_events, "_session_of", lambda *_: ChargingSession.objects.get())
        meeting_before(monkeypatch, SessionEvent.objects, "create")

    _, counted = _told_twice(
        lambda: operations.record_transaction(charger_id=evse.charger_id, report=report, now=NOW),
        Constraint("depots_sessionevent", "session_event_once") if guard == "none" else None,
        SessionEvent.objects.filter(kind="updated").count,
    )

    assert counted == (2 if guard == "none" else 1)


def _told_twice(
    tell: Callable[[], Any], dropped: Constraint | None, seen: Callable[[], Any]
) -> tuple[Counter[str], Any]:
    def twice() -> tuple[Counter[str], Any]:
        return Counter(at_once(lambda _: attempt(tell), 2)), seen()

    if dropped is None:
        return twice()
    with dropped.dropped():
        return twice()
