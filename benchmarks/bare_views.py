"""What a hand-written view would do for a partner's request, on the same server: mounted for benchmarks, never in use.

Authentication and body are read and the answer is written by the product's own schemas, and the answer says as much as the
product's; there are no rules, no log and no idempotency. What the booking carries, its tokens, is written with it.
"""

from __future__ import annotations

import json
import secrets
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from benchmarks.bare_pages import bare_page
from config.urls import urlpatterns as ours
from roaming.models import Partner
from roaming.ocpi.auth import token_of
from roaming.ocpi.envelope import ok, read_object
from roaming.ocpi.v2_3_0.bookings import schemas
from roaming.ocpi.v2_3_0.bookings.reading import read_booking_request

_LOCK = """
SELECT e.id, o.id, d.id, g.country_code, g.cpo_party_id, d.location_id, e.uid, e.max_power_w, e.dangerous_goods_allowed,
       e.drive_through, e.refrigeration_outlet, ARRAY(
           SELECT ARRAY[c.format, c.standard, c.power_type] FROM depots_connector c WHERE c.evse_id = e.id ORDER BY c.number
       )
FROM depots_evse e
JOIN bookings_bookingoption_evses oe ON oe.evse_id = e.id
JOIN bookings_bookingoption o ON o.id = oe.bookingoption_id
JOIN depots_depot d ON d.id = o.depot_id
JOIN depots_organisation g ON g.id = d.operator_id
WHERE upper(o.code) = upper(%s) AND NOT o.is_mirror
FOR NO KEY UPDATE OF e
"""
_BOOKING = """
INSERT INTO bookings_booking (
    reference, remote_id, request_id, authorization_reference, customer_country, customer_party, route, fleet_id, depot_id,
    option_id, evse_id, is_evse_asked, plate, starts_at, ends_at, promised_power_w, terms, quote, status, remote_status,
    is_irregular, enforcement, enforcement_why, "group", interrupted_why, cancel_reason, cancelled_by, note, version,
    created_at, updated_at
) VALUES (
    %(reference)s, '', %(request_id)s, %(authorization_reference)s, %(country)s, %(party)s, 'inbound', %(fleet)s, %(depot)s,
    %(option)s, %(evse)s, false, '', %(starts_at)s, %(ends_at)s, 100000, '{}', '{}', 'confirmed', '', false,
    'not_due', '', %(reference)s, '', '', '', '', 1, %(now)s, %(now)s
) RETURNING id
"""
_ALL = f"""
WITH booking AS ({_BOOKING}),
token AS (
    INSERT INTO bookings_bookingtoken (booking_id, country_code, party_id, uid, type, contract_id, position)
    SELECT booking.id, t.country_code, t.party_id, t.uid, t.type, t.contract_id, t.position - 1
    FROM booking, ROWS FROM (jsonb_to_recordset(%(tokens)s)
        AS (country_code text, party_id text, uid text, type text, contract_id text))
        WITH ORDINALITY AS t (country_code, party_id, uid, type, contract_id, position)
),
occupancy AS (
    INSERT INTO bookings_occupancy (evse_id, span, holder, kind, power_w)
    SELECT %(evse)s, tstzrange(%(starts_at)s, %(ends_at)s), id, 'booking', 100000 FROM booking
),
event AS (
    INSERT INTO bookings_bookingevent (booking_id, kind, before, after, version, detail, actor_kind, actor, at)
    SELECT id, '', '', 'confirmed', 1, '{{}}', 'partner', 'bare', %(now)s FROM booking
),
request AS (
    INSERT INTO bookings_bookingrequest (
        booking_id, kind, decision, asked, received, fingerprint, asked_by_kind, asked_by, asked_at, decided_at,
        decided_by_kind, decided_by, reason
    )
    SELECT id, 'create', 'accepted', '{{}}', %(received)s, '', 'partner', 'bare', %(now)s, %(now)s, 'partner', 'bare', ''
    FROM booking
),
job AS (
    INSERT INTO roaming_delivery
        (partner_id, kind, object_id, wanted_version, delivered_version, next_try_at, attempts, last_error, was_refused)
    SELECT %(partner)s, 'booking', id, 1, 0, %(now)s, 0, '', false FROM booking
)
SELECT id FROM booking
"""


@csrf_exempt
def post_booking(request: HttpRequest) -> HttpResponse:
    """One lock, then occupancy, booking, request, event and job in one round trip."""
    return _post(request, _ALL)


@csrf_exempt
def insert_booking(request: HttpRequest) -> HttpResponse:
    """The row of the booking and nothing else."""
    return _post(request, _BOOKING)


def _post(request: HttpRequest, statement: str) -> HttpResponse:
    now = timezone.now()
    token = token_of(request, now=now)
    if token is None or not token.partner.is_registered:
        return HttpResponse(status=401)
    received = read_object(request)
    asked = read_booking_request(received).value
    reference = "BK" + secrets.token_hex(5).upper()
    with transaction.atomic(), connection.cursor() as cursor:
        if statement is _ALL:
            cursor.execute(_LOCK, [asked.booking_location_id])
        else:
            cursor.execute(_LOCK.replace("FOR NO KEY UPDATE OF e", ""), [asked.booking_location_id])
        place = _Place(*cursor.fetchone())
        values = _values(asked, received, token.partner, reference)
        keys = {"evse": place.evse, "option": place.option, "depot": place.depot}
        cursor.execute(statement, {**values, **keys, "now": now})
    return ok(_answer(asked, received, reference, place, now), http=201)


class _Place(NamedTuple):
    evse: int
    option: int
    depot: int
    country: str
    party: str
    location_id: str
    uid: str
    max_power_w: int
    dangerous_goods_allowed: bool
    drive_through: bool
    refrigeration_outlet: bool
    connectors: list[list[str]]


def _values(
    asked: schemas.BookingRequest, received: dict[str, Any], partner: Partner, reference: str
) -> dict[str, Any]:
    assert asked.period is not None
    return {
        "reference": reference,
        "request_id": asked.request_id,
        "authorization_reference": asked.authorization_reference,
        "country": asked.country_code,
        "party": asked.party_id,
        "fleet": partner.organisation_id,
        "partner": partner.pk,
        "starts_at": asked.period.start_date_time,
        "ends_at": asked.period.end_date_time,
        "received": json.dumps(received),
        "tokens": json.dumps([token.wire() for token in asked.tokens]),
    }


def _answer(
    asked: schemas.BookingRequest,
    received: dict[str, Any],
    reference: str,
    place: _Place,
    now: datetime,
) -> schemas.Booking:
    assert asked.period is not None
    return schemas.Booking(
        id=reference,
        country_code=place.country,
        party_id=place.party,
        request_id=asked.request_id,
        booking_option=_option(place),
        location_id=place.location_id,
        booking_tokens=asked.tokens,
        period=schemas.Timeslot(
            start_date_time=asked.period.start_date_time,
            end_date_time=asked.period.end_date_time,
            min_power=100_000,
            max_power=place.max_power_w,
        ),
        reservation_status=schemas.ReservationStatus.RESERVED,
        authorization_reference=asked.authorization_reference,
        booking_terms=_terms(),
        booking_requests=[
            schemas.BookingRequestStatus(
                request_status=schemas.ReservationRequestStatus.ACCEPTED,
                booking_request=received,
                request_received=now,
            )
        ],
        last_updated=now,
    )


def _option(place: _Place) -> schemas.BookingOption:
    return schemas.BookingOption(
        evse_uid=place.uid,
        parking_id=place.uid,
        connector_format=[kind for kind, _, _ in place.connectors],
        connector_types=[standard for _, standard, _ in place.connectors],
        power_types=[power for _, _, power in place.connectors],
        dangerous_goods_allowed=place.dangerous_goods_allowed,
        drive_through=place.drive_through,
        refrigeration_outlet=place.refrigeration_outlet,
    )


def _terms() -> schemas.BookingTerms:
    return schemas.BookingTerms(
        rfid_auth_required=False,
        token_groups_supported=True,
        remote_auth_supported=True,
        supported_access_methods=[schemas.AccessMethod.TOKEN],
        change_until_minutes=60,
        cancel_until_minutes=30,
        change_not_allowed=False,
        early_start_allowed=True,
        early_start_time=15,
        noshow_timeout=15,
        noshow_fee=False,
        late_stop_allowed=False,
        late_stop_time=0,
        overlapping_bookings_allowed=False,
        min_booking_duration=30,
        max_booking_duration=240,
    )


urlpatterns = [
    path("bare/bookings", post_booking),
    path("bare/insert", insert_booking),
    path("bare/pages", bare_page),
    *ours,
]
