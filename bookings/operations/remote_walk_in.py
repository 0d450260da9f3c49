"""Charging that a partner network has started for a customer of its own who has not booked."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from bookings.actors import Actor
from bookings.core.locking import lock_ids
from bookings.errors import ChargerCannot, ChargerOffline, NotOpenToYou, SlotTaken
from bookings.models import Booking, OwnerAnswer, OwnerCheck, Token
from bookings.operations.owner_answers import record_owner_answer
from bookings.operations.remote_start import WAITS
from bookings.rules.entitlement import TokenName
from bookings.rules.owner_checks import OwnerWord
from depots import gate
from depots import operations as depots
from depots.gate import Authorization, OwnerQuestion
from depots.models import Charger, ChargerCommand, ChargingSession, Evse, Organisation
from depots.queries import is_online
from depots.token_numbers import LONGEST_TAG, normalise, on_the_wire, spellings


def start_unbooked(
    *, evse: Evse, token: TokenName, owner: Organisation, reference: str, actor: Actor, now: datetime
) -> ChargerCommand:
    """Ask the charger to begin with a token that `owner`, a network, has let charge under its `reference`. Whether one may
    charge here who has not booked is for the gate to say, now and when the charger tells of the start.

    Raises ChargerOffline, ChargerCannot for a number that the charger cannot take, SlotTaken, NotOpenToYou.
    """
    with transaction.atomic():
        lock_ids([evse.pk])
        charger = evse.charger
        if charger is None or not is_online(charger, now=now):
            raise ChargerOffline
        number = on_the_wire(token.uid, token.type, is_1_6=charger.speaks_1_6)
        if charger.speaks_1_6 and len(number) > LONGEST_TAG:
            raise ChargerCannot(
                f"This charger takes tokens of at most {LONGEST_TAG} characters; book a slot."
            )
        if ChargingSession.objects.filter(evse=evse, ended_at__isnull=True).exists():
            raise SlotTaken
        _keep(token, owner, now)
        _let_in(charger, evse, token, owner, reference, now)
        may = gate.may_charge(charger=charger, evse=evse, token_uid=number, token_type=token.type, now=now)
        _check(may, owner)
        payload = {"evse": evse.number, "token": number, "token_type": token.type}
        return depots.queue_command(
            charger=charger,
            action=ChargerCommand.Action.REMOTE_START,
            payload=payload,
            not_after=now + WAITS,
            now=now,
        )


def _keep(token: TokenName, owner: Organisation, now: datetime) -> None:
    """A network's customer is known by its token, whether or not the network had told of it; told of in no other way, its
    network is asked when it is shown to a reader."""
    if Token.objects.filter(fleet=owner, uid__card__in=spellings(token.uid, token.type)).exists():
        return
    Token.objects.create(
        fleet=owner,
        uid=token.uid,
        type=token.type,
        contract_id=token.contract_id,
        country_code=token.country_code,
        party_id=token.party_id,
        owner_check=OwnerCheck.SHOULD,
        told={},
        heard_at=now,
    )


def _let_in(
    charger: Charger, evse: Evse, token: TokenName, owner: Organisation, reference: str, now: datetime
) -> None:
    """Its network need not be asked again when it starts."""
    number = normalise(token.uid, token.type)
    question = OwnerQuestion(charger.pk, evse.pk, token.uid, token.type, number, (owner.pk,))
    party = (token.country_code, token.party_id)
    word = OwnerWord(OwnerAnswer.Outcome.ALLOWED, reference, [evse.uid], owner.pk, *party)
    record_owner_answer(question=question, word=word, now=now)


def _check(answer: Authorization, owner: Organisation) -> None:
    """Raises SlotTaken, also where the number is that of a token in somebody else's booking, or NotOpenToYou."""
    booked = Booking.objects.filter(pk=answer.reservation_id) if answer.reservation_id else None
    is_of_another = booked is not None and booked.exclude(fleet=owner).exists()
    if is_of_another or answer.reason == "booked_by_another":
        raise SlotTaken
    if not answer.allowed:
        raise NotOpenToYou("Without a booking your customers do not charge here.")
