"""One thing asked under one key is done once: what was answered is kept with what was done, in one transaction.

An advisory lock lets one transaction at a time work under a key; its end gives it back, a killed process too. What was
answered is looked for by a statement behind the lock, and written beside what it tells: both are there, or neither.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from bookings.core.constraints import violation_raises
from bookings.errors import BookingError, IdempotencyKeyInUse, IdempotencyKeyReused
from bookings.models import KeptAnswer
from depots import round_trips
from depots.secrets import decrypt, encrypt

KEPT = timedelta(hours=24)
AT_ONCE = 5000
# How a body begins that is kept encrypted; one of JSON never does.
_SEALED = "encrypted:"

_LOCK = round_trips.Locking("SELECT pg_try_advisory_xact_lock(%s)")
_FIND = round_trips.Prepared(
    "SELECT created_at > %s, fingerprint, status, headers, body FROM bookings_keptanswer"
    " WHERE organisation_id = %s AND key = %s"
)
_FORGET = round_trips.Prepared(
    "DELETE FROM bookings_keptanswer WHERE created_at <= %s AND organisation_id = %s AND key = %s"
)
_KEEP = round_trips.Prepared(
    "INSERT INTO bookings_keptanswer (organisation_id, key, fingerprint, status, headers, body, created_at)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s)"
)


@dataclass(frozen=True)
class Ask:
    """What somebody asks under a key of their organisation's: `content` is the method, the address and the body."""

    organisation_id: int
    key: str
    content: bytes
    at: datetime

    @property
    def fingerprint(self) -> str:
        return sha256(self.content).hexdigest()

    @property
    def lock(self) -> int:
        named = sha256(f"idempotency {self.organisation_id} {self.key}".encode()).digest()
        return int.from_bytes(named[:8], signed=True)


@dataclass(frozen=True)
class Answer:
    """`is_secret` has its body kept encrypted: it tells a secret that is shown once."""

    status: int
    headers: Mapping[str, str]
    body: str
    is_secret: bool = False


class _Unkept(Exception):
    """Leaves the transaction without an answer to keep."""


class Answering:
    """The transaction of one ask: `known` is what was answered before, else the work is done in here and its answer kept."""

    def __init__(self, ask: Ask, known: Answer | None) -> None:
        self._ask, self.known = ask, known

    def keep(self, answer: Answer) -> None:
        ask = self._ask
        body = f"{_SEALED}{encrypt(answer.body)}" if answer.is_secret else answer.body
        told = [answer.status, json.dumps(dict(answer.headers)), body, ask.at]
        round_trips.send(_KEEP, [ask.organisation_id, ask.key, ask.fingerprint, *told])

    def undo(self) -> None:
        """Leave nothing, not even an answer: whoever asks again is not told of a fault that may be over."""
        raise _Unkept


@contextmanager
def answered_once(ask: Ask) -> Iterator[Answering]:
    """Raises IdempotencyKeyInUse while the first works, IdempotencyKeyReused for other content."""
    in_use: BookingError = IdempotencyKeyInUse()
    try:
        with violation_raises({"answer_kept_once": in_use}), round_trips.atomic():
            yield Answering(ask, _known(ask))
    except _Unkept:
        pass


def forget_answers(*, now: datetime) -> None:
    """Those that were kept long enough, some at a time."""
    over = KeptAnswer.objects.filter(created_at__lte=now - KEPT).order_by("created_at")
    KeptAnswer.objects.filter(pk__in=list(over.values_list("pk", flat=True)[:AT_ONCE])).delete()


def _known(ask: Ask) -> Answer | None:
    lock, named = round_trips.ask(_LOCK, [ask.lock]), [ask.at - KEPT, ask.organisation_id, ask.key]
    found = round_trips.rows(_FIND, named)
    if not lock.rows[0][0]:
        raise IdempotencyKeyInUse
    if not found:
        return None
    [(is_kept, fingerprint, status, headers, body)] = found
    if not is_kept:
        round_trips.send(_FORGET, named)
        return None
    if fingerprint != ask.fingerprint:
        raise IdempotencyKeyReused
    if body.startswith(_SEALED):
        body = decrypt(body.removeprefix(_SEALED))
    return Answer(status, json.loads(headers) if isinstance(headers, str) else headers, body)
