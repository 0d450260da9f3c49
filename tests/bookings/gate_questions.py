"""The question of a charger whether a card may charge."""

from __future__ import annotations

from typing import Any

from bookings.gate import may_charge
from depots.models import Evse
from tests.factories import at


def ask(
    evse: Evse, uid: str, now: Any = at(9, 50), group: str = "", *, anywhere: bool = False
) -> tuple[bool, str]:
    given = may_charge(
        charger=evse.charger, evse=None if anywhere else evse, token_uid=uid, group=group, now=now
    )
    return given.allowed, given.reason
