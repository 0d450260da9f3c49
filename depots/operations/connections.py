"""Who holds a charger's socket. A lease in the database says so; any number of gateways may run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import connection, transaction

from depots.models import Charger, ChargerCommand
from depots.operations.commands import NotTheHolder, lose_sent_commands, queue_command, wake_gateways
from depots.operations.locking import lock_evses_of
from depots.signals import charger_connected, charger_disconnected


def open_connection(*, charger_id: int, holder: str, protocol: str, lease: timedelta, now: datetime) -> None:
    """The newest socket wins: take the lease from whoever has it. The loser hears of it and closes its own."""
    with transaction.atomic():
        Charger.objects.filter(pk=charger_id).update(
            lease_holder=holder,
            lease_until=now + lease,
            spoken_protocol=protocol,
            connected_at=now,
            last_seen_at=now,
        )
        wake_gateways(charger_id)


def reconcile(*, charger_id: int, holder: str, rebooted: bool, now: datetime) -> None:
    """What the charger holds is unknown now: settle what was sent before, and let others say again what should stand.

    Called once its queue of old messages has drained. Raises NotTheHolder.
    """
    with transaction.atomic():
        lock_evses_of(charger_id)
        charger = _held(charger_id, holder)
        lose_sent_commands(charger=charger, now=now)
        if rebooted or "asked_at" not in charger.told:
            _ask_capabilities(charger, now)
        charger_connected.send(sender=Charger, charger=charger, rebooted=rebooted, at=now)


def renew_leases(
    *, heard: Mapping[int, str], silent: Mapping[int, str], lease: timedelta, now: datetime
) -> set[int]:
    """Keep the leases {charger id: holder} of open sockets; `heard` ones said something since last time.

    Returns the chargers whose lease another holder has taken: their sockets here are the old ones.
    """
    kept = _renew(heard, now + lease, seen_at=now) | _renew(silent, now + lease, seen_at=None)
    return (heard.keys() | silent.keys()) - kept


def close_connection(*, charger_id: int, holder: str, now: datetime) -> None:
    """The socket ended. Does nothing when a newer one has taken over meanwhile."""
    with transaction.atomic():
        lock_evses_of(charger_id)
        charger = (
            Charger.objects.select_for_update(no_key=True).filter(pk=charger_id, lease_holder=holder).first()
        )
        if charger is not None:
            _disconnect(charger, now)


def release_lapsed(*, now: datetime) -> int:
    """Chargers whose gateway died without a word are offline once their lease has run out. How many there were."""
    lapsed = Charger.objects.exclude(lease_holder="").filter(lease_until__lt=now).order_by("id")
    ended = 0
    for charger_id in lapsed.values_list("pk", flat=True)[:500]:
        with transaction.atomic():
            lock_evses_of(charger_id)
            # Renewed or taken over since it was looked at?
            for charger in lapsed.filter(pk=charger_id).select_for_update(no_key=True, skip_locked=True):
                _disconnect(charger, now)
                ended += 1
    return ended


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


def _disconnect(charger: Charger, now: datetime) -> None:
    lose_sent_commands(charger=charger, now=now)
    charger.lease_holder, charger.lease_until = "", now
    charger.save(update_fields=["lease_holder", "lease_until"])
    charger_disconnected.send(sender=Charger, charger=charger, at=now)


def _renew(holders: Mapping[int, str], until: datetime, *, seen_at: datetime | None) -> set[int]:
    if not holders:
        return set()
    seen = ", last_seen_at = %s" if seen_at else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE depots_charger SET lease_until = %s{seen}
            FROM unnest(%s::bigint[], %s::text[]) AS mine (charger_id, holder)
            WHERE depots_charger.id = mine.charger_id AND depots_charger.lease_holder = mine.holder
            RETURNING depots_charger.id
            """,  # noqa: S608 - no value is put into the text
            [until, *([seen_at] if seen_at else []), list(holders), list(holders.values())],
        )
        return {row[0] for row in cursor.fetchall()}
