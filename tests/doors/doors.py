"""Every door by which a slot is booked, changed or given up: operations, pages, drag, pasted table, JSON API, commands, OCPI.

Each is called as those outside call it, at the time of this process's clock, and tells in its own way what came of it.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from io import StringIO
from typing import Any

from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.utils import timezone

from bookings import operations
from bookings.errors import BookingError
from bookings.models import Booking, BookingRequest, Token, Vehicle
from depots.models import Evse
from depots.periods import Period
from depots.wall_clock import local_text
from tests.doors.customers import Answer, Customer, Manager, Wish
from tests.factories import DISPATCHER, MANAGER
from tests.roaming.partners import BOOKINGS, booking_request

# Doors to a new booking.


def by_operation(customer: Customer, wish: Wish) -> Answer:
    return _of_operation(
        lambda: operations.request_booking(_request(customer, wish), actor=DISPATCHER, now=timezone.now())
    )


def by_hold(customer: Customer, wish: Wish) -> Answer:
    return _of_operation(
        lambda: operations.hold_slot(_request(customer, wish), actor=DISPATCHER, now=timezone.now())
    )


def by_page(customer: Customer, wish: Wish) -> Answer:
    return _by_form(customer, "/bookings/", wish)


def by_page_hold(customer: Customer, wish: Wish) -> Answer:
    return _by_form(customer, "/holds/", wish)


def by_table(customer: Customer, wish: Wish) -> Answer:
    """The pasted table of one row: looked at, then booked by a click."""
    zone = wish.option.depot.zone
    first, minutes = wish.period.starts_at.astimezone(zone), wish.period.duration // timedelta(minutes=1)
    power = f"{wish.power_w / 1000:g}" if wish.power_w else ""
    assert wish.vehicle is not None
    option = wish.option.code
    row = f"{wish.vehicle.plate};{option};{first:%d.%m.%Y};{first:%H:%M};{minutes} min;;{power}"
    page = customer.desk.post("/bookings/many/rows/", {"fleet": customer.fleet.pk, "table": row})
    text = page.content.decode()
    sent = {
        name: re.findall(rf'name="{name}"[^>]* value="([^"]*)"', text) for name in ("key", "version", "row")
    }
    if not sent["key"] or not sent["version"]:
        return _of_page(page)
    before = set(customer.bookings.values_list("pk", flat=True))
    booked = customer.desk.post("/bookings/many/", {"fleet": customer.fleet.pk, "mode": "all", **sent})
    made = customer.bookings.exclude(pk__in=before).first()
    return Answer(made) if made else _of_page(booked, text)


def by_api(customer: Customer, wish: Wish) -> Answer:
    return _of_api(customer.system.post("/bookings", wish_body(wish)))


def by_api_hold(customer: Customer, wish: Wish) -> Answer:
    return _of_api(customer.system.post("/holds", wish_body(wish)))


def by_batch(customer: Customer, wish: Wish) -> Answer:
    """A batch of this one."""
    return by_batch_of(customer, [wish])[0]


def by_batch_of(customer: Customer, wishes: Sequence[Wish], *, mode: str = "all") -> list[Answer]:
    response = customer.system.post(
        "/batch", {"mode": mode, "bookings": [wish_body(wish) for wish in wishes]}
    )
    told = json.loads(response.content)
    assert response.status_code in {201, 409}, told
    return [
        Answer(Booking.objects.get(pk=item["booking"]["id"]))
        if item["booking"]
        else Answer(code=item["code"] or "", words=item["detail"] or "")
        for item in told["items"]
    ]


def by_command(customer: Customer, wish: Wish) -> Answer:
    assert wish.vehicle is not None
    options = {
        "vehicle": wish.vehicle.plate, "option": wish.option.code, "organisation": customer.fleet.name,
        "start": wish.period.starts_at.isoformat(), "end": wish.period.ends_at.isoformat(),
        **({"evse": wish.evse.uid} if wish.evse else {}),
        **({"power_kw": f"{wish.power_w / 1000}"} if wish.power_w else {}),
    }  # fmt: skip
    return _of_command("book", **options)


def by_ocpi(customer: Customer, wish: Wish) -> Answer:
    """A BookingRequest; a refusal is kept with its sentence."""
    more: dict[str, Any] = {"power_required": round(wish.power_w / 1000)} if wish.power_w else {}
    if wish.evse is not None:
        more["booking_option"] = {"evse_uid": wish.evse.uid}
    body = booking_request(customer.caller.party, wish.option, wish.period, **more)
    return _of_ocpi(customer, body)


# Doors to another time or EVSE of a booking.


def change_by_operation(customer: Customer, booking: Booking, period: Period) -> Answer:
    request = operations.ChangeRequest(period=period)
    return _of_operation(
        lambda: operations.change_booking(booking.pk, request, actor=DISPATCHER, now=timezone.now())
    )


def change_by_page(customer: Customer, booking: Booking, period: Period) -> Answer:
    zone = booking.depot.zone
    cards = Token.objects.filter(fleet=customer.fleet, uid__in=[token.uid for token in booking.tokens.all()])
    fields = {
        "starts_at": local_text(period.starts_at, zone), "ends_at": local_text(period.ends_at, zone),
        "vehicle": booking.plate, "tokens": [str(card.pk) for card in cards], "version": booking.version,
    }  # fmt: skip
    return _of_page(customer.desk.post(f"/bookings/{booking.pk}/change/", fields), booking=booking)


def change_by_api(customer: Customer, booking: Booking, period: Period) -> Answer:
    body = {"starts_at": period.starts_at.isoformat(), "ends_at": period.ends_at.isoformat()}
    return _of_api(customer.system.send("PATCH", f"/bookings/{booking.pk}", body))


def change_by_command(customer: Customer, booking: Booking, period: Period) -> Answer:
    start, end = period.starts_at.isoformat(), period.ends_at.isoformat()
    return _of_command("change_booking", str(booking.pk), start=start, end=end)


def change_by_ocpi(customer: Customer, booking: Booking, period: Period) -> Answer:
    body = booking_request(customer.caller.party, booking.option, period, request_id=booking.request_id)
    body["tokens"] = [_as_sent(customer, token) for token in booking.tokens.all()]
    return _of_ocpi(customer, body)


def drag(manager: Manager, booking: Booking, period: Period, evse: Evse | None = None) -> Answer:
    """A bar of the board, dropped somewhere else."""
    place = {
        "evse": (evse or booking.evse or booking.option.evses.all()[0]).uid, "version": booking.version,
        "starts_at": period.starts_at.isoformat(), "ends_at": period.ends_at.isoformat(),
    }  # fmt: skip
    response = manager.desk.post(
        f"/depots/{booking.depot.code}/board/bookings/{booking.pk}/move/",
        place,
        headers={"Accept": "application/json"},
    )
    told = response.json()
    if response.status_code == 200:
        return Answer(Booking.objects.get(pk=booking.pk))
    return Answer(code=told["code"], words=told["detail"], status=response.status_code)


def delay_by_page(customer: Customer, booking: Booking, minutes: int) -> Answer:
    fields = {"minutes": "other", "other": str(minutes), "version": booking.version}
    return _of_page(customer.desk.post(f"/bookings/{booking.pk}/delay/", fields), booking=booking)


def delay_by_api(customer: Customer, booking: Booking, minutes: int) -> Answer:
    return _of_api(customer.system.post(f"/bookings/{booking.pk}/delay", {"minutes": minutes}))


def swap_by_api(customer: Customer, booking: Booking, vehicle: Vehicle) -> Answer:
    return _of_api(customer.system.post(f"/bookings/{booking.pk}/swap", {"vehicle": vehicle.plate}))


def swap_by_change(customer: Customer, booking: Booking, vehicle: Vehicle) -> Answer:
    return _of_api(customer.system.send("PATCH", f"/bookings/{booking.pk}", {"vehicle": vehicle.plate}))


def confirm_by_operation(customer: Customer, booking: Booking) -> Answer:
    return _of_operation(
        lambda: operations.confirm_hold(booking_id=booking.pk, actor=DISPATCHER, now=timezone.now())
    )


def confirm_by_api(customer: Customer, booking: Booking) -> Answer:
    return _of_api(customer.system.post(f"/holds/{booking.pk}/confirmation"))


# Doors out of a booking.


def cancel_by_operation(customer: Customer, booking: Booking) -> Answer:
    return _of_operation(
        lambda: operations.cancel_booking(
            booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now()
        )
    )


def cancel_by_page(customer: Customer, booking: Booking) -> Answer:
    fields = {"reason": "TRAFFIC", "version": booking.version}
    return _of_page(customer.desk.post(f"/bookings/{booking.pk}/cancellation/", fields), booking=booking)


def cancel_by_api(customer: Customer, booking: Booking) -> Answer:
    return _of_api(customer.system.post(f"/bookings/{booking.pk}/cancellation", {"reason": "TRAFFIC"}))


def cancel_by_command(customer: Customer, booking: Booking) -> Answer:
    return _of_command("cancel_booking", str(booking.pk), reason="TRAFFIC")


def cancel_by_ocpi(customer: Customer, booking: Booking) -> Answer:
    reason = {"cancellation_reason": "TRAFFIC", "who_canceled": "EMSP"}
    body = booking_request(
        customer.caller.party, booking.option, booking.period, request_id=booking.request_id, canceled=reason
    )
    body["tokens"] = [_as_sent(customer, token) for token in booking.tokens.all()]
    return _of_ocpi(customer, body)


def cancel_by_depot(manager: Manager, booking: Booking) -> Answer:
    return _of_operation(
        lambda: operations.cancel_booking(
            booking_id=booking.pk, reason="BLOCKED", by="depot", actor=MANAGER, now=timezone.now()
        )
    )


Books = Callable[[Customer, Wish], Answer]
Changes = Callable[[Customer, Booking, Period], Answer]
Cancels = Callable[[Customer, Booking], Answer]

BOOK: dict[str, Books] = {
    "operation": by_operation, "hold": by_hold, "page": by_page, "hold on a page": by_page_hold, "table": by_table,
    "API": by_api, "hold by API": by_api_hold, "command": by_command, "batch": by_batch,
}  # fmt: skip
CHANGE: dict[str, Changes] = {
    "operation": change_by_operation, "page": change_by_page, "API": change_by_api, "command": change_by_command,
}  # fmt: skip
CANCEL: dict[str, Cancels] = {
    "operation": cancel_by_operation, "page": cancel_by_page, "API": cancel_by_api, "command": cancel_by_command,
}  # fmt: skip
# What a partner network has of these.
OCPI: tuple[Books, Changes, Cancels] = (by_ocpi, change_by_ocpi, cancel_by_ocpi)


def _request(customer: Customer, wish: Wish) -> operations.SlotRequest:
    return operations.SlotRequest(
        fleet=customer.fleet, option=wish.option, vehicle=wish.vehicle, period=wish.period, evse=wish.evse,
        power_w=wish.power_w,
    )  # fmt: skip


def wish_body(wish: Wish) -> dict[str, Any]:
    """As the JSON API takes it."""
    assert wish.vehicle is not None
    body = {
        "option": wish.option.code, "depot": wish.option.depot.code, "vehicle": wish.vehicle.plate,
        "starts_at": wish.period.starts_at.isoformat(), "ends_at": wish.period.ends_at.isoformat(),
    }  # fmt: skip
    if wish.evse is not None:
        body["evse"] = wish.evse.uid
    return {**body, **({"power_kw": wish.power_w / 1000} if wish.power_w else {})}


def _by_form(customer: Customer, address: str, wish: Wish) -> Answer:
    assert wish.vehicle is not None
    before = set(customer.bookings.values_list("pk", flat=True))
    slot = {
        "fleet": customer.fleet.pk, "option": wish.option.pk, "evse": wish.evse.pk if wish.evse else "",
        "vehicle": wish.vehicle.pk, "starts_at": wish.period.starts_at.isoformat(),
        "ends_at": wish.period.ends_at.isoformat(), "shown_at": timezone.now().isoformat(),
        "despite": ",".join(str(pk) for pk in before),
    }  # fmt: skip
    response = customer.desk.post(address, slot)
    made = customer.bookings.exclude(pk__in=before).first()
    return Answer(made) if made else _of_page(response)


def _of_operation(act: Callable[[], Booking]) -> Answer:
    try:
        return Answer(act())
    except BookingError as refusal:
        return Answer(code=refusal.code, words=str(refusal))


def _of_page(response: Any, *before: str, booking: Booking | None = None) -> Answer:
    if response.status_code == 302:
        return Answer(Booking.objects.get(pk=booking.pk) if booking else None)
    words = " ".join(_text_of(page) for page in (*before, response.content.decode()))
    return Answer(words=words, status=0 if before else response.status_code)


def _text_of(page: str) -> str:
    """What a person reads on it."""
    text = re.sub(r"<(script|style|svg).*?</\1>|<[^>]*>", " ", page.partition("<main")[2], flags=re.DOTALL)
    return " ".join(html.unescape(text).split())


def _of_api(response: HttpResponse) -> Answer:
    told = json.loads(response.content)
    assert response.status_code < 500, told
    if response.status_code in {200, 201}:
        return Answer(Booking.objects.get(pk=told["id"]))
    return Answer(code=told["code"], words=told["detail"], status=response.status_code)


def _of_command(name: str, *arguments: str, **options: Any) -> Answer:
    told = StringIO()
    try:
        call_command(name, *arguments, **options, stdout=told)
    except CommandError as refusal:
        return Answer(words=str(refusal))
    return Answer(Booking.objects.get(pk=json.loads(told.getvalue())["id"]))


def _of_ocpi(customer: Customer, body: dict[str, Any]) -> Answer:
    response = customer.caller.post(BOOKINGS, body)
    assert response.status_code < 500, response.content
    told = response.json()
    if told["status_code"] != 1000:
        return Answer(words=told.get("status_message", ""))
    asked = (
        BookingRequest.objects.filter(booking__request_id__iexact=body["request_id"]).order_by("pk").last()
    )
    assert asked is not None
    if asked.decision == BookingRequest.Decision.DECLINED:
        return Answer(words=asked.reason)
    return Answer(asked.booking)


def _as_sent(customer: Customer, token: Any) -> dict[str, Any]:
    country, party = customer.caller.party
    return {
        "country_code": country, "party_id": party, "uid": token.uid, "type": token.type,
        "contract_id": token.contract_id,
    }  # fmt: skip
