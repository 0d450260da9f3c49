from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from depots.gate import Authorization
from depots.models import ChargingSession, Evse
from depots.signals import charging_ended, charging_started
from tests.factories import make_charger, make_evse


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> dict[str, Authorization]:
    """Answers by token; others may charge."""
    answers: dict[str, Authorization] = {}

    def may_charge(*, token_uid: str, **_: Any) -> Authorization:
        return answers.get(token_uid, Authorization(allowed=True))

    monkeypatch.setattr("depots.gate._answerer", lambda: may_charge)
    return answers


@pytest.fixture
def evse(db: None) -> Evse:
    charger = make_charger()
    make_evse(charger=charger)
    return make_evse(charger=charger)


@pytest.fixture
def facts() -> Iterator[list[tuple[str, int]]]:
    heard: list[tuple[str, int]] = []

    def started(session: ChargingSession, **_: Any) -> None:
        heard.append(("started", session.pk))

    def ended(session: ChargingSession, **_: Any) -> None:
        heard.append(("ended", session.pk))

    charging_started.connect(started)
    charging_ended.connect(ended)
    yield heard
    charging_started.disconnect(started)
    charging_ended.disconnect(ended)
