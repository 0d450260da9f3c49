"""Five thousand chargers at one gateway, five hundred of their bookings due in the same second; then all lose their network.

`arm_5000`: the 99th percentile of the seconds from the moment a booking is due until its charger has read the ReserveNow,
with the worker's scheduler and the gateway as they are shipped; the tick that finds them comes once a second. `rearm_5000`:
all sockets are cut at once, and chargers come back at once, boot and tell their statuses: seconds until the last one is
back and every armed one has been told to reserve again, of 60. It holds only where a dispatcher's list of bookings is there
within twice the time before (medians). Bookings are due at a full minute, 40 to 160 s after they begin to be made.
"""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from benchmarks import gateways
from benchmarks.result import Result
from benchmarks.serving import served

CHARGERS, DUE = 5000, 500
TERMS = {"arm_lead_min": 15, "slot_step_min": 1, "no_show_min": 30}
BOOKED_WITHIN = timedelta(seconds=40)
BACK_WITHIN_S = 60
ARMED_WITHIN_S = 30


def run(names: list[str]) -> Iterator[Result]:
    gateways.make_chargers(CHARGERS, terms=TERMS)
    with (
        gateways.running(gateways.GATEWAY) as (url, _),
        gateways.crowd(url) as crowd,
        gateways.working(),
        served(processes=1) as web,
    ):
        arrived = crowd.do("connect", first=0, count=CHARGERS)
        assert arrived["connected"] == CHARGERS, arrived
        due_at = _book()
        armed = _armed(crowd, due_at)
        if "arm_5000" in names:
            detail = {"due": DUE, "connect_s": round(arrived["seconds"], 1), **armed}
            yield Result("arm_5000", armed["p99_s"], "<= 2", detail)
        if "rearm_5000" in names:
            yield _rearmed(crowd, web.url)


def _book() -> datetime:
    """A booking of the first EVSE of every tenth charger, all due at one moment to come, which is returned."""
    from bookings.actors import SCHEDULER
    from bookings.operations import SlotRequest, request_booking
    from depots.models import Agreement, Connector, Evse
    from depots.periods import Period
    from tests.factories import make_fleet, make_option, make_vehicle

    Agreement.objects.update(starts_at=datetime.now(UTC))
    evses = list(Evse.objects.filter(number=1).order_by("charger__identity")[:: CHARGERS // DUE])
    fleet = make_fleet()
    vehicles = [make_vehicle(fleet) for _ in evses]
    Connector.objects.bulk_create(Connector(evse=evse) for evse in evses)
    options = [make_option(evse, code=evse.uid) for evse in evses]
    lead = timedelta(minutes=TERMS["arm_lead_min"])
    due_at = (datetime.now(UTC) + BOOKED_WITHIN + timedelta(minutes=1)).replace(second=0, microsecond=0)
    period = Period(due_at + lead, due_at + lead + timedelta(hours=1))
    for option, vehicle in zip(options, vehicles, strict=True):
        asked = SlotRequest(fleet=fleet, option=option, vehicle=vehicle, period=period)
        request_booking(asked, actor=SCHEDULER, now=datetime.now(UTC))
    assert datetime.now(UTC) < due_at, "booking took too long"
    return due_at


def _armed(crowd: gateways.Crowd, due_at: datetime) -> dict[str, Any]:
    """Seconds from `due_at` until chargers had read their reservation."""
    deadline = due_at.timestamp() + ARMED_WITHIN_S
    at: dict[str, float] = {}
    while time.time() < deadline and len(at) < DUE:
        time.sleep(max(0.5, due_at.timestamp() - time.time()))
        at = crowd.do("reserved")["at"]
    waits = sorted(when - due_at.timestamp() for when in at.values())
    missing = [float(ARMED_WITHIN_S)] * (DUE - len(waits))
    return {
        "p50_s": _share([*waits, *missing], 0.5),
        "p99_s": _share([*waits, *missing], 0.99),
        "reserved": len(at),
    }


def _rearmed(crowd: gateways.Crowd, url: str) -> Result:
    session = _session()
    before = _answers(url, session, seconds=5)
    armed = _await_armed()
    dropped_at = time.time()
    crowd.do("drop")
    crowd.begin("connect")
    during: list[float] = []
    meanwhile = threading.Thread(target=lambda: during.extend(_answers(url, session, until=_all_back)))
    meanwhile.start()
    back = crowd.end()
    back_s = time.time() - dropped_at
    at: dict[str, float] = {}
    while time.time() < dropped_at + 2 * BACK_WITHIN_S and len(at) < armed:
        at = {one: when for one, when in crowd.do("reserved")["at"].items() if when > dropped_at}
        time.sleep(0.5)
    rearmed_s = max((when - dropped_at for when in at.values()), default=0.0) if len(at) == armed else None
    _done.set()
    meanwhile.join()
    slower = median(during) / median(before)
    holds = rearmed_s is not None and back["connected"] == CHARGERS and slower <= 2
    detail = {
        "connected": back["connected"], "back_s": round(back_s, 1), "armed": armed, "rearmed": len(at),
        "rearmed_s": rearmed_s and round(rearmed_s, 1), "web_ms": round(median(before) * 1000, 1),
        "web_meanwhile_ms": round(median(during) * 1000, 1), "web_ratio": round(slower, 2), "faults": back["faults"],
    }  # fmt: skip
    return Result("rearm_5000", max(back_s, rearmed_s or 0) if holds else None, f"<= {BACK_WITHIN_S}", detail)


def _await_armed() -> int:
    """How many bookings are armed, once their answers are written down."""
    from bookings.models import Booking

    armed = 0
    for _ in range(60):
        armed = Booking.objects.filter(enforcement="armed").count()
        if armed == DUE:
            break
        time.sleep(0.5)
    return armed


_done = threading.Event()


def _all_back() -> bool:
    return _done.is_set()


def _session() -> str:
    """The cookie of a dispatcher of the fleet whose bookings are armed."""
    from django.conf import settings
    from django.test import Client

    from bookings.models import Booking
    from tests.factories import make_user

    client = Client(SERVER_NAME="127.0.0.1")
    user = make_user(Booking.objects.select_related("fleet")[0].fleet)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    name = settings.SESSION_COOKIE_NAME
    return f"{name}={client.cookies[name].value}"


def _answers(url: str, session: str, *, seconds: float = 0, until: Any = None) -> list[float]:
    """Seconds of each answer of the list of the fleet's bookings, asked for one after the other."""
    took = []
    page = urllib.request.Request(f"{url}/bookings/", headers={"Cookie": session})
    ends_at = time.monotonic() + seconds
    while not (until() if until else time.monotonic() > ends_at):
        began = time.perf_counter()
        with urllib.request.urlopen(page, timeout=60) as answer:
            assert answer.url == page.full_url, "signed out"
            answer.read()
        took.append(time.perf_counter() - began)
        time.sleep(0.05)
    return took


def _share(values: list[float], share: float) -> float:
    return round(sorted(values)[min(len(values) - 1, int(len(values) * share))], 2)
