"""Whether a token may charge, and what follows when it charges all the same."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import Error as DatabaseError
from django.db import transaction

from depots import gate
from depots.models import Charger, ChargerCommand, ChargingSession, Evse
from depots.operations.charger_state import QUEUED_AFTER, change_status_if_newer
from depots.operations.commands import queue_command
from depots.operations.measuring import measure, measure_refusal
from depots.operations.transaction_reports import flag
from depots.queries import reservations_at
from depots.signals import charging_ended, charging_started, token_presented

logger = logging.getLogger(__name__)

# A charger that obeys our refusal stops a stranger by itself within this time; else it is told to.
STOPS_BY_ITSELF_WITHIN = timedelta(seconds=10)
# One that goes on for longer heeds neither its reservation nor us.
STOPS_WHEN_TOLD_WITHIN = timedelta(minutes=1)
# Of a stranger who stays for longer all is known.
JUDGED_WITHIN = timedelta(minutes=3)
AT_ONCE = 200


def authorize(
    *, charger_id: int, token_uid: str, token_type: str = "", may_ask: bool = False, now: datetime
) -> gate.Authorization:
    """May this token charge here now, as far as one can say without an EVSE? With `may_ask` raises OwnerMustBeAsked where
    whoever issued it has a say, with whom to ask."""
    charger = Charger.objects.select_related("depot").get(pk=charger_id)
    answer = gate.may_charge(charger=charger, evse=None, token_uid=token_uid, token_type=token_type, now=now)
    if may_ask and answer.question is not None:
        raise gate.OwnerMustBeAsked(answer.question, answer, gate.whom_to_ask(answer.question, now=now))
    token_presented.send(sender=Charger, charger=charger, token_uid=token_uid, at=now)
    return answer


def record_owner_word(*, charger_id: int, heard: gate.OwnerHeard) -> None:
    """Before what had to wait for it is done again."""
    heard.record()


def follow_authorize(*, charger_id: int, heard: gate.OwnerHeard, token_uid: str, now: datetime) -> None:
    """What an Authorize leaves behind once it has been answered by the word of the token's owner."""
    heard.record()
    charger = Charger.objects.select_related("depot").get(pk=charger_id)
    token_presented.send(sender=Charger, charger=charger, token_uid=token_uid, at=now)


def ask(
    charger: Charger, evse: Evse | None, token_uid: str, token_type: str, *, now: datetime
) -> tuple[gate.Authorization, list[str]]:
    """The gate's answer. When it fails the energy still has to be recorded, so that counts as yes, flagged."""
    try:
        with transaction.atomic():
            answer = gate.may_charge(
                charger=charger, evse=evse, token_uid=token_uid, token_type=token_type, now=now
            )
    except DatabaseError:
        raise  # the whole message is tried again
    except Exception:
        logger.exception("The gate failed for a token at %s", charger.identity)
        return gate.Authorization(allowed=True), ["unasked"]
    return answer, []


def require_word(answer: gate.Authorization, *, judged_at: datetime, now: datetime) -> None:
    """Raises OwnerMustBeAsked where whoever issued the token has a say in a start of now; of one that waited in the charger's
    queue nobody is asked, since it has charged already."""
    if answer.question is not None and judged_at == now:
        raise gate.OwnerMustBeAsked(answer.question)


def moment_of(at: datetime, now: datetime) -> datetime:
    """The moment to judge by: what waited in the charger's queue is judged by the slot of then. `at` is by our clock."""
    return at if now - at > QUEUED_AFTER else now


def answer_again(
    session: ChargingSession, charger: Charger, evse: Evse | None, now: datetime
) -> gate.Authorization:
    """The answer to a repeated start: what was allowed stays so, though the slot may be over by now."""
    answer, _ = ask(charger, evse, session.token_uid, session.token_type, now=now)
    if session.is_entitled and not answer.allowed:
        return gate.Authorization(allowed=True)
    if not session.is_entitled and answer.allowed:
        return gate.Authorization(allowed=False, reason="booked_by_another")
    return answer


def announce(
    session: ChargingSession, charger: Charger, evse: Evse | None, answer: gate.Authorization, now: datetime
) -> None:
    """Tell that it charges. Whoever was refused is stopped, unless the charger does so by itself."""
    session.evse = evse
    if session.reservation_id and not answer.allowed and answer.reservation_id != session.reservation_id:
        flag(session, ["foreign_token"])
        session.save(update_fields=["flags"])
    if evse is not None and session.ended_at is None:
        change_status_if_newer(evse, Evse.Status.CHARGING, at=session.started_at, now=now)
    charging_started.send(sender=ChargingSession, session=session, answer=answer, at=now)
    if session.ended_at is not None:  # its end came first
        charging_ended.send(sender=ChargingSession, session=session, at=now)
        return
    if answer.allowed:
        return
    queue_command(
        charger=charger,
        action=ChargerCommand.Action.REMOTE_STOP,
        payload={"transaction": session.transaction},
        not_before=now + STOPS_BY_ITSELF_WITHIN,
        now=now,
    )


def announce_lone_end(
    session: ChargingSession, charger: Charger, evses: Mapping[int, Evse], now: datetime
) -> None:
    """Of a transaction only the end was told (it charged offline, and the charger lost the start): if its card holds a
    booking here and then, this was the visit. The session is saved."""
    if not session.token_uid or session.ended_at is None:
        return
    for moment in dict.fromkeys((session.started_at, session.ended_at)):
        judged_at = moment_of(moment, now)
        booked, _ = ask(charger, None, session.token_uid, session.token_type, now=judged_at)
        for number in booked.evse_numbers or () if booked.reservation_id else ():
            evse = evses.get(number)
            answer, _ = ask(charger, evse, session.token_uid, session.token_type, now=judged_at)
            if evse is not None and answer.allowed and answer.reservation_id == booked.reservation_id:
                session.is_entitled, session.announced_at = True, now
                flag(session, ["found_by_card"])
                session.evse = evse
                session.save(update_fields=["evse", "is_entitled", "announced_at", "flags"])
                announce(session, charger, evse, answer, now)
                return


def judge_reservation(session: ChargingSession, now: datetime) -> None:
    """A refused session has ended, or goes on: a charger that had reserved the EVSE for somebody else and charged on all the
    same keeps no reservations, whatever became of that one since. One that stopped by our answer just leaves the check to us."""
    charger, evse = session.charger, session.evse
    if session.is_entitled or evse is None:
        return
    lasted = (session.ended_at or now) - session.started_at
    if lasted <= STOPS_BY_ITSELF_WITHIN or lasted > STOPS_WHEN_TOLD_WITHIN:
        measure_refusal(session, stops_by_itself=lasted <= STOPS_BY_ITSELF_WITHIN, now=now)
    if lasted < STOPS_WHEN_TOLD_WITHIN:
        return
    if any(a.evse_number == evse.number for a in reservations_at(charger, at=session.started_at)):
        measure(charger, "reservation", "lies", evidence=f"session {session.transaction}", now=now)


def judge_strangers(*, now: datetime) -> int:
    """Who was refused and still charges after a minute, at a charger that is heard: it is judged before they leave. How many
    there were."""
    running = ChargingSession.objects.filter(
        is_entitled=False, ended_at__isnull=True, evse__isnull=False, started_at__lt=now - STOPS_WHEN_TOLD_WITHIN,
        announced_at__range=(now - JUDGED_WITHIN, now - STOPS_WHEN_TOLD_WITHIN), charger__lease_until__gt=now,
    )  # fmt: skip
    found = list(running.select_related("charger", "evse").order_by("pk")[:AT_ONCE])
    for session in found:
        with transaction.atomic():
            judge_reservation(session, now)
    return len(found)
