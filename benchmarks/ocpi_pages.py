"""10,000 bookings of a partner, read over OCPI page by page, against a view that runs the same queries and dumps plain rows.

Each page is asked for of both, in turn; the ratio is the middle one of all pages, in processor time of the server's handling
as the client sees it. Memory is that of the serving process after the first pages and after the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import median
from time import perf_counter
from typing import Any

from django.utils import timezone

from benchmarks import http_load
from benchmarks.result import Result
from benchmarks.serving import Server, served
from bookings.models import Booking, BookingRequest, BookingToken
from bookings.rules.terms import Terms
from depots.models import Evse, Organisation
from roaming.models import Partner
from tests.factories import make_depot, make_evse, option_of
from tests.roaming.partners import Caller, booking_request, make_partner

BOOKINGS, PAGE, EVSES = 10_000, 100, 50
# Memory that a Python process gains while it reads the first pages is none of the list's length.
WARM_PAGES, ROOM_KB = 20, 8_000


def run(names: list[str]) -> Iterator[Result]:
    caller = Caller(make_partner())
    _fill(caller, timezone.now())
    with served(settings="benchmarks.served_settings", processes=1) as server:
        product, bare, memory = _read_all(server, caller)
    ratios = [mine / other for mine, other in zip(product, bare, strict=True)]
    grown = memory[-1] - memory[WARM_PAGES]
    yield Result("pages_10000", median(ratios), "<= 2", {
        "worst_tenth": round(sorted(ratios)[len(ratios) * 9 // 10], 2),
        "page_ms": round(1000 * median(product), 1),
        "bare_page_ms": round(1000 * median(bare), 1),
        "pages": len(product),
        "memory_mb_after_20_pages": round(memory[WARM_PAGES] / 1024, 1),
        "memory_mb_after_all": round(memory[-1] / 1024, 1),
    })  # fmt: skip
    if grown > ROOM_KB:
        raise RuntimeError(f"Reading on took {grown} kB more")


def _fill(caller: Caller, now: datetime) -> None:
    """Bookings as requests of the partner leave them: a token and the request that made each."""
    evses = [make_evse(depot) for depot in (make_depot() for _ in range(EVSES // 10)) for _ in range(10)]
    partner: Partner = caller.partner
    Booking.objects.bulk_create(
        (_booking(partner.organisation, evses[n % EVSES], n, now) for n in range(BOOKINGS)), batch_size=1000
    )
    made = list(Booking.objects.select_related("depot__operator", "option").order_by("pk"))
    BookingToken.objects.bulk_create(
        (
            BookingToken(
                booking=booking, country_code="DE", party_id="NFE", uid=f"04A1{n:06}", type="RFID",
                contract_id=f"C{n:08}",
            )
            for n, booking in enumerate(made)
        ),
        batch_size=1000,
    )  # fmt: skip
    BookingRequest.objects.bulk_create(
        (
            BookingRequest(
                booking=booking, kind="create", decision="accepted", asked={},
                received=_request(caller, booking),
                asked_by_kind="partner",
                asked_at=now, decided_at=now,
            )
            for booking in made
        ),
        batch_size=1000,
    )  # fmt: skip


def _request(caller: Caller, booking: Booking) -> dict[str, Any]:
    return booking_request(caller.party, booking.option, booking.period, request_id=booking.request_id)


def _booking(fleet: Organisation, evse: Evse, number: int, now: datetime) -> Booking:
    start = now - timedelta(days=1) - timedelta(hours=number // EVSES)
    option = option_of(evse)
    return Booking(
        route="inbound", fleet=fleet, depot=evse.depot, option=option, evse=evse, status="completed",
        request_id=f"R-{number}", authorization_reference=f"A-{number}", customer_country="DE", customer_party="NFE",
        starts_at=start, ends_at=start + timedelta(minutes=45), promised_power_w=100_000, enforcement="released",
        terms_json=Terms().to_json(),
        created_at=now, updated_at=now,
    )  # fmt: skip


def _read_all(server: Server, caller: Caller) -> tuple[list[float], list[float], list[int]]:
    """Seconds of each page from both, and the largest process's memory after each."""
    product, bare, memory = [], [], []
    base = server.url.rstrip("/")
    seen: set[str] = set()
    for offset in range(0, BOOKINGS, PAGE):
        query = f"?offset={offset}&limit={PAGE}"
        took, page = _page(f"{base}/ocpi/cpo/2.3.0/bookings{query}", caller)
        product.append(took)
        seen |= {booking["id"] for booking in http_load.data(page)}
        bare.append(_page(f"{base}/bare/pages{query}", caller)[0])
        memory.append(max(server.rss_kb()))
    if len(seen) != BOOKINGS:
        raise RuntimeError(f"The pages held {len(seen)} bookings of {BOOKINGS}")
    return product, bare, memory


def _page(url: str, caller: Caller) -> tuple[float, bytes]:
    request = http_load.request(url, "GET", caller.headers["Authorization"])
    began = perf_counter()
    [(status, content)] = http_load.send(url, [[request]]).answers
    if status != 200:
        raise RuntimeError(f"{url} answered {status}")
    return perf_counter() - began, content
