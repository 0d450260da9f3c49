"""What a partner tells people of its depot beside what can be booked there, as a dispatcher sees it in the finder."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine

from bookings.models import BookingOption
from bookings.pages import partner_notes
from depots.models import Depot, Evse
from roaming.models import Partner
from tests.bookings.people import client_of
from tests.factories import NOW, at, make_fleet, make_user, make_vehicle
from tests.roaming.partners import keep_listed, make_partner
from tests.roaming.pushed_objects import location, offer, plug, z

pytestmark = pytest.mark.django_db
# 12 to 13 UTC on the wall there.
ASKED = {"depot": "FR-CPO-LOC-1", "starts_at": "2030-01-15T13:00", "ends_at": "2030-01-15T14:00"}
EVIL = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def partner() -> Partner:
    role = {"role": "CPO", "country_code": "FR", "party_id": "CPO", "name": "Network"}
    return make_partner("CPO", country_code="FR", roles=[role])


def period(first: Any, last: Any) -> dict[str, str]:
    return {"period_begin": z(first), "period_end": z(last)}


def tell(partner: Partner, *, alt_text: Any, alt_url: Any) -> None:
    tariff = {
        "country_code": "FR", "party_id": "CPO", "id": "T-1", "currency": "EUR", "tax_included": "NO",
        "elements": [{"price_components": [{"type": "ENERGY", "price": 0.5, "step_size": 1}]}],
        "tariff_alt_text": alt_text, "tariff_alt_url": alt_url, "last_updated": z(NOW),
    }  # fmt: skip
    schedule = [
        {**period(at(12, 30), at(15)), "status": "OUTOFORDER"},
        {"period_begin": z(at(18)), "status": "REMOVED"},
    ]
    evse = {
        "uid": "E-1", "status": "AVAILABLE", "connectors": [plug(tariff_ids=["T-1"])], "status_schedule": schedule,
        "last_updated": z(NOW),
    }  # fmt: skip
    hours = {
        "twentyfourseven": True,
        "exceptional_closings": [period(at(16), at(20)), {"period_begin": "never"}, period(at(20), at(16))],
        "exceptional_openings": [period(at(4), at(6))],
    }
    keep_listed(partner, "tariff", tariff)
    keep_listed(partner, "location", location(evses=[evse], opening_times=hours))
    policy = {"reservation_required": False, "ad_hoc": 3}
    keep_listed(partner, "booking_location", offer(policy=policy))


def shown() -> str:
    fleet = make_fleet()
    make_vehicle(fleet)
    page: str = client_of(make_user(fleet)).get("/slots/", ASKED).content.decode()
    return page


def test_a_dispatcher_reads_what_a_partner_tells_of_its_depot(partner: Partner) -> None:
    texts = [{"language": "fr", "text": "Prix"}, {"language": "en", "text": f"Cheaper at night {EVIL}"}]
    tell(partner, alt_text=texts, alt_url="https://cpo.example/prices")

    page = shown()

    assert "Closed 17:00–21:00" in page
    assert "Also open 05:00–07:00" in page
    assert "3 places without a booking" in page
    assert "Cheaper at night &lt;script&gt;" in page
    assert EVIL not in page
    assert '<a href="https://cpo.example/prices" rel="noopener noreferrer nofollow"' in page
    assert "Planned: faulted from 13:30 until 16:00" in page
    assert page.count("data-partner-note") == 4

    # What is not told any more is gone.
    later = {"last_updated": z(at(9))}
    keep_listed(partner, "location", location(**later))
    keep_listed(partner, "booking_location", offer(**later))
    assert Depot.objects.get().exceptional_hours is None
    assert (Evse.objects.get().planned_statuses, BookingOption.objects.get().ad_hoc_places) == (None, None)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//x.example", "https://", "http://[", 7, None])
@pytest.mark.parametrize("text", [[7, {"language": "en"}], "words", None])
def test_what_is_no_page_is_no_link_and_what_is_no_text_says_nothing(url: Any, text: Any) -> None:
    assert (partner_notes._text(text), partner_notes._url(url)) == ("", "")
