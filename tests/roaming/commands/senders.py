"""What a partner sends as commands, and an EVSE that is there for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from depots.models import ChargerCommand, Evse
from depots.operations import settle_command
from roaming.models import Delivery, ReceivedCommand
from roaming.ocpi.times import time_out
from roaming.outbound import deliveries
from roaming.outbound.pushes import Push
from roaming.outbound.writers.command_results import results_written
from tests.factories import NOW, make_depot, make_evse
from tests.roaming.partners import Caller

COMMANDS = "/ocpi/cpo/2.3.0/commands"
CALLBACK = "https://partner.example/callbacks/1f2e"


def online_evse(depot: Any = None, **charger: Any) -> Evse:
    evse = make_evse(depot or make_depot())
    fields = {"lease_holder": "gateway", "lease_until": NOW + timedelta(hours=12), **charger}
    for name, value in fields.items():
        setattr(evse.charger, name, value)
    evse.charger.save()
    return evse


def token_of(caller: Caller, uid: str = "04A1B2C3") -> dict[str, Any]:
    """A whole Token, as 2.2.1 and 2.3.0 have it in commands."""
    country, party = caller.party
    return {
        "country_code": country, "party_id": party, "uid": uid, "type": "RFID", "contract_id": "C1",
        "issuer": "Partner", "valid": True, "whitelist": "NEVER", "last_updated": time_out(NOW),
    }  # fmt: skip


def command(caller: Caller, name: str, evse: Evse | None = None, /, **fields: Any) -> Any:
    """Sent with what most commands need; a field of None is left out."""
    body = {"response_url": CALLBACK}
    if name in {"RESERVE_NOW", "START_SESSION"}:
        body["token"] = token_of(caller)  # type: ignore[assignment]
    if name == "RESERVE_NOW":
        body |= {"expiry_date": time_out(NOW + timedelta(minutes=30)), "reservation_id": "R-1"}
    if evse is not None:
        body |= {"location_id": evse.depot.location_id, "evse_uid": evse.uid}
    told = {key: value for key, value in {**body, **fields}.items() if value is not None}
    return caller.post(f"{COMMANDS}/{name}", told)


def answer(action: str, word: str, *, now: Any = NOW) -> ChargerCommand:
    """The newest command of this kind is answered by its charger."""
    newest = ChargerCommand.objects.filter(action=action).latest("pk")
    return settle_command(command_id=newest.pk, answer=word, now=now)


def results_due(*, now: Any = NOW) -> list[Push]:
    """What the sender would POST now; settled as if it was taken."""
    leases = deliveries.claim(room=100, kinds=[Delivery.Kind.COMMAND_RESULT], now=now)
    pushes = results_written(leases, now=now)
    for push in pushes:
        deliveries.succeeded(push.lease, now=now)
    return pushes


def told(push: Push) -> str:
    assert push.body is not None
    return str(push.body.content.decode())


def received() -> ReceivedCommand:
    return ReceivedCommand.objects.latest("pk")
