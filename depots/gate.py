"""The questions depots cannot answer itself, for it knows chargers, not bookings.

May this token charge here now? The answer comes from the function that settings.CHARGING_GATE names; where it needs the word
of a network that issued the token, that is asked by what settings.AUTHORIZING_NETWORKS names. And which EVSEs does somebody wait
for? The one that settings.AWAITED_EVSES names. Which sessions' meter values are still to be kept in full? The one that
settings.NEEDED_READINGS names.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Protocol, cast

from django.conf import settings
from django.db import Error as DatabaseError
from django.utils.module_loading import import_string

from depots.models import Charger, Evse

logger = logging.getLogger(__name__)
# An organisation's id, country code and party id of one of its parties; and a reference of this party's, in capitals.
Holder = tuple[int, str, str]
HolderReference = tuple[int, str, str, str]


@dataclass(frozen=True)
class OwnerQuestion:
    """May a token charge at a charger, at one of its EVSEs or at any (None)? To be asked of those `owner_ids` that issued it;
    without any nobody here knows it, and whoever may know it is asked. `holders` are those whose bookings it may open, and who
    are asked whether they know it or not; one that lets it charge under one of the `references` opens its booking.
    `is_for_booking`: nobody else is asked. `number` and `token_type` name it in the answer."""

    charger_id: int
    evse_id: int | None
    token_uid: str
    token_type: str
    number: str
    owner_ids: tuple[int, ...] = ()
    holders: tuple[Holder, ...] = ()
    references: frozenset[HolderReference] = frozenset()
    is_for_booking: bool = False


@dataclass(frozen=True)
class Authorization:
    """`allowed` with the group the charger should match (the booking's secret), or refused with a reason.

    `reason` is one of: "unknown_token", "blocked", "expired", "no_credit", "not_confirmed", "booked_by_another", "not_yet",
    "elsewhere", "". `question` is for whoever issued the token: all else holds as long as that has not answered.
    `by_word` judges anew once that has answered, by its word (`OwnerHeard.word`) and by all else as it was, without a query.
    `reference` is the issuer's, for session and record. `evse_numbers`,
    when not None, are the EVSEs of the charger where the token may charge (OCPP 2.x idTokenInfo.evseId).
    `reservation_id` names the booking the token holds here, also one that is over before its time; None for a walk-in.
    `holds_until`: a charger that remembers the answer is to forget it by then (OCPP's expiryDate, cacheExpiryDateTime).
    """

    allowed: bool
    reason: str = ""
    group: str = ""
    reservation_id: int | None = None
    evse_numbers: list[int] | None = None
    holds_until: datetime | None = None
    reference: str = ""
    question: OwnerQuestion | None = None
    by_word: Callable[[Any], Authorization] | None = field(default=None, compare=False, repr=False)


class OwnerMustBeAsked(Exception):
    """Nothing is done yet: `question` is to be asked, under no lock and in no transaction, and then it is done again. `answer` is
    what holds without the owner's word, where that is all that was looked for; `whom` is to be asked, where that is known."""

    def __init__(
        self, question: OwnerQuestion, answer: Authorization | None = None, whom: Any = None
    ) -> None:
        super().__init__(question)
        self.question, self.answer, self.whom = question, answer, whom


@dataclass(frozen=True)
class OwnerHeard:
    """What whoever issued a token has said, or that nobody said anything: `word` is what `Authorization.by_word` judges by, and
    `record` writes it down where the gate finds it (queries). `is_more_known`: the token itself is another than before, so
    that all has to be judged anew once that is written."""

    word: Any
    record: Callable[[], None]
    is_more_known: bool = False


class TokenOwners(Protocol):
    """Reaches whoever issued a token."""

    def whom_to_ask(self, question: OwnerQuestion, *, now: datetime) -> Any:
        """Those that `ask` asks: queries, for who is in a thread already."""

    async def ask(self, question: OwnerQuestion, whom: Any = None, *, now: datetime) -> OwnerHeard:
        """Returns once somebody has answered or there is nobody more to wait for, within the patience of a charger. Nothing that
        was heard is written down yet."""


@cache
def token_owners() -> TokenOwners | None:
    """The one of this process, which settings.AUTHORIZING_NETWORKS names."""
    path = settings.AUTHORIZING_NETWORKS
    return cast(TokenOwners, import_string(path)()) if path else None


def whom_to_ask(question: OwnerQuestion, *, now: datetime) -> Any:
    """For `TokenOwners.ask`; None where that has to find it out."""
    owners = token_owners()
    try:
        return owners.whom_to_ask(question, now=now) if owners is not None else None
    except DatabaseError:
        raise  # the whole message is tried again
    except Exception:
        logger.exception("Whom to ask about a token at charger %s was not found out", question.charger_id)
        return None


def may_charge(
    *, charger: Charger, evse: Evse | None, token_uid: str, token_type: str, group: str = "", now: datetime
) -> Authorization:
    """Ask who knows. `evse` is None where the protocol names none (Authorize); `token_type` is an OCPI TokenType or ""."""
    return _answerer()(
        charger=charger, evse=evse, token_uid=token_uid, token_type=token_type, group=group, now=now
    )


def awaited_evses(evse_ids: Sequence[int], *, now: datetime) -> set[int]:
    """Those of the EVSEs where more than its status follows from what a charger reports. The caller has locked them."""
    return _awaiting()(evse_ids, now=now) if evse_ids else set()


def needed_readings(session_ids: Sequence[int]) -> set[int]:
    """Those of the ended sessions whose readings must all stay. The caller has locked them."""
    return _needing()(session_ids) if session_ids else set()


@cache
def _answerer() -> Callable[..., Authorization]:
    return cast(Callable[..., Authorization], import_string(settings.CHARGING_GATE))


@cache
def _awaiting() -> Callable[..., set[int]]:
    return cast(Callable[..., set[int]], import_string(settings.AWAITED_EVSES))


@cache
def _needing() -> Callable[..., set[int]]:
    return cast(Callable[..., set[int]], import_string(settings.NEEDED_READINGS))
