"""Who holds a charger's socket. A lease in the database says so; any number of gateways may run."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import QuerySet

from depots import round_trips
from depots.models import Charger, ChargerCommand
from depots.operations.commands import NotTheHolder, lose_sent_commands, queue_command, wake_gateways
from depots.operations.connections_at_once import end_leases, lock_with_evses, without_sent
from depots.operations.locking import lock_evses_of
from depots.operations.state_history import note_offline, note_online
from depots.signals import charger_connected, charger_disconnected, chargers_first_connected

logger = logging.getLogger(__name__)

# With one look; the next begins a second later.
MOST_LAPSED = 500

# A free lease is taken back: it ran out while its holder could not renew it, and nobody else has come since.
_RENEW = """
    WITH mine AS (
        SELECT * FROM unnest(%(chargers)s::bigint[], %(holders)s::text[], %(heard)s::boolean[])
            AS mine (charger_id, holder, is_heard)
    ), held AS (
        SELECT charger.id, charger.lease_holder = '' AS was_free, mine.holder, mine.is_heard
        FROM depots_charger AS charger JOIN mine ON mine.charger_id = charger.id
        WHERE charger.lease_holder IN (mine.holder, '')
        ORDER BY charger.id FOR NO KEY UPDATE OF charger SKIP LOCKED
    ), history AS (
        INSERT INTO depots_connectionchange (charger_id, at, is_online)
        SELECT id, %(now)s, true FROM held WHERE was_free
    )
    UPDATE depots_charger AS charger
    SET lease_holder = held.holder, lease_until = %(until)s,
        last_seen_at = CASE WHEN held.is_heard THEN %(now)s ELSE charger.last_seen_at END
    FROM held WHERE charger.id = held.id
    RETURNING charger.id, held.was_free
"""


def open_connection(*, charger_id: int, holder: str, protocol: str, lease: timedelta, now: datetime) -> None:
    """The newest socket wins: take the lease from whoever has it. The loser hears of it and closes its own."""
    with transaction.atomic():
        note_online(charger_id, now=now)
        first = Charger.objects.filter(pk=charger_id, connected_at__isnull=True).update(connected_at=now)
        Charger.objects.filter(pk=charger_id).update(
            lease_holder=holder,
            lease_until=now + lease,
            spoken_protocol=protocol,
            connected_at=now,
            last_seen_at=now,
        )
        wake_gateways(charger_id)
        if first:
            chargers_first_connected.send(sender=Charger, charger_ids=[charger_id], at=now)


def reconcile(*, charger_id: int, holder: str, rebooted: bool, now: datetime) -> None:
    """What the charger holds is unknown now: settle what was sent before, and let others say again what should stand.

    Called once its queue of old messages has drained. Raises NotTheHolder.
    """
    with transaction.atomic():
        lock_evses_of(charger_id)
        charger = _held(charger_id, holder)
        lose_sent_commands(charger=charger, now=now)
        charger_connected.send(sender=Charger, charger=charger, rebooted=rebooted, is_together=False, at=now)
        if rebooted or "asked_at" not in charger.told:  # what a truck waits for goes first
            _ask_capabilities(charger, now)


@dataclass(frozen=True)
class Renewal:
    """What became of leases, as charger ids: `retaken` had run out and nobody else had come, `taken` are another
    holder's now (or the charger is gone), `busy` ones were locked by somebody: ask again. All others are renewed.
    """

    retaken: set[int]
    taken: set[int]
    busy: set[int]


def renew_leases(
    *, heard: Mapping[int, str], silent: Mapping[int, str], lease: timedelta, now: datetime
) -> Renewal:
    """Keep the leases {charger id: holder} of open sockets; `heard` ones said something since last time.

    Waits for no lock: one charger's long transaction must not let the leases of all others run out.
    """
    holders = {**silent, **heard}
    with connection.cursor() as cursor:
        cursor.execute(
            _RENEW,
            {
                "chargers": list(holders),
                "holders": list(holders.values()),
                "heard": [charger_id in heard for charger_id in holders],
                "until": now + lease,
                "now": now,
            },
        )
        renewed = dict(cursor.fetchall())
    missed = holders.keys() - renewed.keys()
    found = dict(Charger.objects.filter(pk__in=missed).values_list("pk", "lease_holder")) if missed else {}
    busy = {charger_id for charger_id in missed if found.get(charger_id) in {"", holders[charger_id]}}
    return Renewal(
        retaken={charger_id for charger_id, was_free in renewed.items() if was_free},
        taken=missed - busy,
        busy=busy,
    )


def close_connection(*, charger_id: int, holder: str, is_by_gateway: bool = False, now: datetime) -> None:
    """The socket ended, `is_by_gateway` because its gateway stops. Does nothing when a newer one has taken over meanwhile."""
    with transaction.atomic():
        lock_evses_of(charger_id)
        charger = (
            Charger.objects.select_for_update(no_key=True).filter(pk=charger_id, lease_holder=holder).first()
        )
        if charger is not None:
            _disconnect(charger, now, is_by_gateway=is_by_gateway)


def release_lapsed(*, now: datetime) -> int:
    """Chargers whose gateway died without a word are offline once their lease has run out. How many there were."""
    lapsed = list(_lapsed(now).order_by("id").values_list("pk", flat=True)[:MOST_LAPSED])
    ended = _release_together(lapsed, now) if lapsed else set()
    alone = sum(_release(charger_id, now) for charger_id in lapsed if charger_id not in ended)
    return len(ended) + alone


def _lapsed(now: datetime) -> QuerySet[Charger]:
    return Charger.objects.exclude(lease_holder="").filter(lease_until__lt=now)


def _release_together(charger_ids: Collection[int], now: datetime) -> set[int]:
    """Those of which no more follows than what is done for many; none where that fails."""
    try:
        with round_trips.atomic():
            locked = [c for c in lock_with_evses(charger_ids) if c.lease_holder and _is_over(c, now)]
            ended = end_leases(without_sent(locked), by_gateway=set(charger_ids), now=now)
            return {charger.pk for charger in ended}
    except Exception:
        logger.exception("Leases that ran out could not be released together; each is by itself")
        return set()


def _release(charger_id: int, now: datetime) -> int:
    """One that cannot be told offline keeps no other from it; it is tried again with the next look."""
    try:
        with transaction.atomic():
            lock_evses_of(charger_id)
            # Renewed or taken over since it was looked at?
            held = _lapsed(now).filter(pk=charger_id).select_for_update(no_key=True, skip_locked=True)
            charger = held.first()
            if charger is not None:
                _disconnect(charger, now, is_by_gateway=True)
    except (OperationalError, InterfaceError):
        raise  # the database is away
    except Exception:
        logger.exception("The lease of charger %s ran out, and it could not be told offline", charger_id)
        return 0
    return int(charger is not None)


def _is_over(charger: Charger, now: datetime) -> bool:
    return charger.lease_until is not None and charger.lease_until < now


def _held(charger_id: int, holder: str) -> Charger:
    charger = (
        Charger.objects.select_for_update(no_key=True).filter(pk=charger_id, lease_holder=holder).first()
    )
    if charger is None:
        raise NotTheHolder
    return charger


def _ask_capabilities(charger: Charger, now: datetime) -> None:
    ask = ChargerCommand.Action.ASK_CAPABILITIES
    if not charger.commands.filter(action=ask, state=ChargerCommand.State.QUEUED).exists():
        queue_command(charger=charger, action=ask, now=now)


def _disconnect(charger: Charger, now: datetime, *, is_by_gateway: bool) -> None:
    lose_sent_commands(charger=charger, now=now)
    note_offline([charger], at=min(now, charger.lease_until or now), is_by_gateway=is_by_gateway)
    charger.lease_holder, charger.lease_until = "", now
    charger.save(update_fields=["lease_holder", "lease_until"])
    charger_disconnected.send(sender=Charger, charger=charger, is_together=False, at=now)
