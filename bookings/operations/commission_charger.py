"""A charger that was refused is let in: it becomes one of a depot's chargers, with EVSEs and options to book them by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from bookings.core.calendars import mark_depot_changed
from bookings.core.locking import lock_depot
from bookings.errors import ChangedMeanwhile, IdentityTaken, NoCredentialsTried, UidTaken
from bookings.models import BookingOption
from bookings.rules import content_version
from depots.imports import writing
from depots.imports.schemas import ChargerRow
from depots.models import Charger, Depot, Evse, ExpectedCharger, Organisation, RefusedConnection
from depots.operations.charger_passwords import NEXT_PASSWORD, forget_next_password, new_charger_password
from depots.secrets import hash_charger_password


@dataclass(frozen=True)
class Commissioned:
    """The charger, and the password to enter there, known this once; empty where it keeps the one it tried."""

    charger: Charger
    password: str


def commission_charger(
    *,
    refused_id: int,
    depot: Depot,
    row: ChargerRow,
    keeps_password: bool,
    seen_version: int,
    now: datetime,
) -> Commissioned:
    """Let the charger of this refused connection in, at this depot, as `row` says (its password aside).

    With `keeps_password` it comes in with what it tried last, whose hash was kept; else it needs the new one. Raises
    ChangedMeanwhile when it tried another password since it was looked at, IdentityTaken, UidTaken, NoCredentialsTried.
    A charger that stands in the depot file and has no password yet is given one; its EVSEs stay as they are.
    """
    with transaction.atomic():
        lock_depot(depot.pk)
        refused = RefusedConnection.objects.select_for_update().filter(pk=refused_id).first()
        if refused is None or refused_connection_version(refused) != seen_version:
            raise ChangedMeanwhile("It tried another password or protocol since.")
        if keeps_password and not refused.password_hash:
            raise NoCredentialsTried(f"{refused.identity} tried no password that could be kept.")
        charger = _known(refused.identity, depot) or _new(row, depot)
        password = _give_password(charger, refused, keeps_password, now)
        refused.delete()
        ExpectedCharger.objects.filter(identity__iexact=charger.identity, operator=depot.operator_id).delete()
        mark_depot_changed(depot.pk, at=now)
    return Commissioned(charger, password)


def expect_charger(*, operator: Organisation, identity: str, now: datetime) -> ExpectedCharger:
    """Wait for an identity; waited for already, also by somebody who asks in the same moment, nothing changes."""
    expected, _ = ExpectedCharger.objects.get_or_create(
        operator=operator, identity__iexact=identity, defaults={"identity": identity, "created_at": now}
    )
    return expected


def stop_expecting(*, expected_id: int, operator: Organisation, seen_version: int) -> ExpectedCharger:
    """Wait for an identity no longer. Raises ChangedMeanwhile when it is another one than was seen, or waited for no more."""
    with transaction.atomic():
        rows = ExpectedCharger.objects.select_for_update(of=("self",)).filter(operator=operator)
        expected = rows.filter(pk=expected_id).first()
        if expected is None or content_version.version_of(expected) != seen_version:
            raise ChangedMeanwhile("It is another one by now.")
        ExpectedCharger.objects.filter(pk=expected_id).delete()
    return expected


def refused_connection_version(refused: RefusedConnection) -> int:
    """Of what it comes with: how often it tries, and when, changes all the time."""
    return content_version.version_of([refused.identity, refused.protocols, refused.password_hash])


def _known(identity: str, depot: Depot) -> Charger | None:
    """The one of the depot that nobody has come in as yet. Raises IdentityTaken."""
    found = Charger.objects.select_for_update(no_key=True).filter(identity__iexact=identity).first()
    if found is None or (found.is_withdrawn and found.depot.operator_id == depot.operator_id):
        return None
    if found.is_withdrawn or found.depot_id != depot.pk or found.password_hash:
        raise IdentityTaken(f"There is a charger {identity} already.")
    return found


def _new(row: ChargerRow, depot: Depot) -> Charger:
    """With its EVSEs, each a booking option of its own. One that was taken away is the same charger. Raises UidTaken."""
    for evse_row in row.evses:
        _refuse_taken(evse_row.uid, depot)
    before = Charger.objects.filter(identity__iexact=row.identity).first()
    charger, _ = writing.write_charger(before, row, depot)
    for number, evse_row in enumerate(row.evses, start=1):
        evse, _ = writing.write_evse(None, evse_row, charger, evse_row.number or number)
        BookingOption.objects.create(depot=depot, code=evse.uid).evses.set([evse])
    return charger


def _refuse_taken(uid: str, depot: Depot) -> None:
    own = Evse.objects.filter(uid__iexact=uid).filter(Q(charger__isnull=False) | Q(depot=depot))
    if own.exists() or BookingOption.objects.filter(code__iexact=uid, is_mirror=False).exists():
        raise UidTaken(f"{uid} is the name of another EVSE or booking option.")


def _give_password(charger: Charger, refused: RefusedConnection, keeps: bool, now: datetime) -> str:
    password = "" if keeps else new_charger_password()
    if keeps:
        charger.password_salt, charger.password_hash = refused.password_salt, refused.password_hash
    else:
        charger.password_salt, charger.password_hash = hash_charger_password(password)
    charger.password_at = now
    forget_next_password(charger)
    charger.save(update_fields=["password_salt", "password_hash", "password_at", *NEXT_PASSWORD])
    return password
