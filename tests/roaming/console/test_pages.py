"""What people see of partner networks: whether they are there, and what of theirs could not be taken as it came."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from depots.models import Depot, Membership
from roaming import deviations
from roaming.console import traffic
from roaming.console.unmatched import unmatched
from roaming.models import Partner, PartnerMessage, PartnerObject
from tests.bookings.enforcement.online_chargers import book, evse_online
from tests.factories import NOW, make_fleet, make_user
from tests.roaming.partners import BOOKINGS, Caller, make_partner
from tests.roaming.pushed_objects import booking

pytestmark = pytest.mark.django_db


@pytest.fixture
def seen() -> None:
    partner = make_partner(
        "XYZ", failures=2, deviations={"id.too_long": 9, "location.time_zone.unreadable": 1}
    )
    Depot.objects.create(
        operator=partner.organisation, code="SE-XYZ-L1", location_id="L1", name="Gare Sud", is_mirror=True
    )
    PartnerObject.objects.create(
        partner=partner, kind="booking", country_code="SE", party_id="XYZ", key="CB-1", raw={}, received_at=NOW,
        is_unmatched=True,
    )  # fmt: skip
    make_partner("ABC")


@pytest.mark.parametrize(
    "role", [Membership.Role.DISPATCHER, Membership.Role.DEPOT_MANAGER, Membership.Role.ADMIN]
)
def test_a_zone_that_cannot_be_read_is_seen_by_whoever_plans(
    seen: None, client: Client, role: str, django_assert_max_num_queries: object
) -> None:
    client.force_login(make_user(make_fleet(), role))

    with django_assert_max_num_queries(12):  # type: ignore[operator]
        page = client.get("/partners/").content.decode()

    assert "A depot&#x27;s time zone cannot be read" in page
    assert "Times are shown in UTC" in page
    assert "Gare Sud" in page
    assert "1 booking told of that nobody here asked for" in page
    assert "Does not answer" in page
    assert "2 rules otherwise" in page
    assert 'href="/partners/"' in page
    its_own = client.get(f"/partners/{Partner.objects.get(failures=2).pk}/").content.decode()
    assert its_own.index("location.time_zone.unreadable") < its_own.index("id.too_long")


def test_who_answers_with_a_no_is_not_said_to_be_silent(client: Client) -> None:
    partner = make_partner("ABC", failures=2, refuses=True, last_success_at=NOW)
    client.force_login(make_user(make_fleet(), Membership.Role.ADMIN))

    listed = client.get("/partners/?trouble=refusing").content.decode()
    its_own = client.get(f"/partners/{partner.pk}/").content.decode()

    for page in (listed, its_own):
        assert '<span class="state state-faulted">Refuses</span>' in page
        assert 'state-faulted">Does not answer' not in page
    assert "2 calls in a row got no yes" in its_own
    assert str(partner) not in client.get("/partners/?trouble=away").content.decode()


def test_partners_are_nobody_elses_business(seen: None, client: Client) -> None:
    assert client.get("/partners/").status_code == 302
    client.force_login(make_user(make_fleet(), Membership.Role.VIEWER))
    assert client.get("/partners/").status_code == 404


def test_the_command_prints_a_line_a_partner(seen: None) -> None:
    out = StringIO()
    call_command("show_partners", stdout=out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    one = StringIO()
    call_command("show_partners", "se*xyz", stdout=one)

    assert [line["parties"] for line in lines] == [["SE*ABC"], ["SE*XYZ"]]
    assert json.loads(one.getvalue()) == lines[1]
    assert lines[1]["deviations"] == {"location.time_zone.unreadable": 1, "id.too_long": 9}
    assert lines[1]["depots_in_utc"] == ["SE-XYZ-L1"]
    assert lines[1]["unmatched_bookings"] == 1
    with pytest.raises(CommandError, match="no partner"):
        call_command("show_partners", "nobody", stdout=StringIO())


@pytest.fixture
def admin(client: Client, clock: Any) -> Client:
    client.force_login(make_user(make_fleet(), Membership.Role.ADMIN, is_staff=True))
    return client


def test_500_partners_are_listed_in_few_statements_and_found_by_name_party_and_trouble(
    admin: Client, django_assert_max_num_queries: Any
) -> None:
    partners = [make_partner(f"{n:03}") for n in range(40)]
    partners[7].deliveries.create(
        kind="booking", object_id=1, wanted_version=1, next_try_at=NOW - timedelta(hours=3)
    )
    Partner.objects.filter(pk=partners[9].pk).update(failures=5)

    with django_assert_max_num_queries(14):
        first = admin.get("/partners/").content.decode()

    assert first.count("<tr data-partner") == 25
    assert first.index("Partner SE009") < first.index("Partner SE000"), "who is away comes first"
    assert admin.get("/partners/?page=2").content.decode().count("<tr data-partner") == 15
    for query, found in (("q=se*031", "SE031"), ("q=SE-031", "SE031"), ("q=tner+SE031", "SE031"),
                         ("trouble=waiting", "SE007"), ("trouble=away", "SE009")):  # fmt: skip
        page = admin.get(f"/partners/?{query}").content.decode()
        assert re.findall(r'<tr data-partner="Partner (\w+)"', page) == [found], query


def test_the_list_says_how_calls_fared_and_how_old_is_what_waits(admin: Client) -> None:
    partner = make_partner("ABC")
    for n in range(10):
        PartnerMessage.objects.create(
            partner=partner, at=NOW - timedelta(minutes=n), is_incoming=False, method="PUT", url="/", took_ms=120,
            outcome="failed" if n < 2 else "ok",
        )  # fmt: skip
    traffic.sum_up(now=NOW)
    partner.deliveries.create(
        kind="booking", object_id=1, wanted_version=1, next_try_at=NOW - timedelta(hours=3, minutes=10)
    )

    page = admin.get("/partners/").content.decode()
    out = StringIO()
    call_command("show_partners", stdout=out)

    assert '<span class="partner-bad">80 %</span>' in page
    assert "120 ms" in page
    assert "oldest 3 h" in page
    told = json.loads(out.getvalue())
    assert told["health"]["out_hour"] == {"calls": 10, "percent_ok": 80, "mean_ms": 120}
    assert (told["waiting"], told["oldest_waiting_since"]) == (1, "2030-01-15T04:50:00Z")


def test_a_page_of_a_partner_shows_what_was_agreed_what_waits_and_what_was_said(
    admin: Client, django_assert_max_num_queries: Any
) -> None:
    ours = book(evse_online())
    partner = make_partner(
        "XYZ",
        endpoints=[{"identifier": "Booking", "role": "RECEIVER", "url": "https://x.example/bookings"}],
        deviations={"id.too_long": 9},
    )
    partner.deliveries.create(
        kind="booking",
        object_id=ours.pk,
        wanted_version=2,
        next_try_at=NOW,
        last_error="no answer in time",
        attempts=3,
    )
    PartnerMessage.objects.create(
        partner=partner,
        at=NOW,
        is_incoming=False,
        method="PUT",
        url="https://x.example/bookings/SE/CPO/1",
        http_status=200,
    )

    with django_assert_max_num_queries(32):
        page = admin.get(f"/partners/{partner.pk}/").content.decode()

    for words in ("OCPI", "2.3.0", str(ours.reference), "no answer in time", "3 tries", "PUT bookings", "id.too_long",
                  "Pause sending", "timeslot_power_unit", "Conformance notes"):  # fmt: skip
        assert words in page, words


def test_what_a_partner_has_is_found_by_its_name(admin: Client) -> None:
    ours = book(evse_online())
    partner = make_partner("XYZ")
    for n in range(3):
        partner.deliveries.create(
            kind="booking", object_id=ours.pk + n, wanted_version=1, delivered_version=1
        )
    partner.deliveries.create(kind="location", object_id=ours.depot_id, wanted_version=1)

    for query, number in (("", 4), (f"?q={ours.reference}", 1), ("?kind=location", 1), ("?kind=cdr", 0),
                          (f"?q={ours.depot.location_id.lower()}", 1), ("?q=nobody", 0)):  # fmt: skip
        page = admin.get(f"/partners/{partner.pk}/deliveries/{query}").content.decode()
        assert page.count("<tr data-delivery") == number, query


def test_messages_are_found_by_way_module_outcome_and_what_was_said(admin: Client) -> None:
    partner = make_partner(
        "XYZ",
        endpoints=[{"identifier": "Booking", "role": "RECEIVER", "url": "https://x.example/b"}],
        versions_url="https://x.example/versions",
    )
    for n, (incoming, url, outcome, body) in enumerate(
        [
            (True, "/ocpi/cpo/2.3.0/bookings?offset=3", "ok", '{"id": "BK-77"}'),
            (True, "/ocpi/cpo/2.3.0/locations", "refused", ""),
            (False, "https://x.example/b/SE/CPO/BK-77", "failed", ""),
            (True, "/ocpi/2.3.0", "ok", ""),
            (False, "https://x.example/versions", "ok", ""),
        ]
    ):
        PartnerMessage.objects.create(
            partner=partner, at=NOW + timedelta(seconds=n), is_incoming=incoming, method="GET", url=url, outcome=outcome,
            request_body=body, correlation_id=f"c-{n}",
        )  # fmt: skip

    def found(query: str) -> list[str]:
        page = admin.get(f"/partners/{partner.pk}/messages/?{query}").content.decode()
        ids = re.findall(r'<tr data-message="(\d+)"', page)
        return [PartnerMessage.objects.get(pk=pk).correlation_id for pk in ids]

    assert found("") == ["c-4", "c-3", "c-2", "c-1", "c-0"]
    assert found("direction=out") == ["c-4", "c-2"]
    assert found("module=bookings") == ["c-2", "c-0"]
    assert found("module=versions") == ["c-4", "c-3"]
    assert found("outcome=refused") == ["c-1"]
    assert found("q=bk-77") == ["c-2", "c-0"]
    assert found("q=c-3") == ["c-3"]
    assert found("outcome=made+up&module=nothing&q=" + "x" * 100) == ["c-4", "c-3", "c-2", "c-1", "c-0"]


def test_a_message_is_shown_with_headers_and_pretty_bodies_as_text(admin: Client) -> None:
    partner = make_partner("XYZ")
    message = PartnerMessage.objects.create(
        partner=partner, at=NOW, is_incoming=True, method="POST", url="/ocpi/cpo/2.3.0/bookings", correlation_id="c",
        request_headers="Authorization: Token …", request_body='{"a":{"b":"<script>"}}', response_body="cut {",
    )  # fmt: skip

    page = admin.get(f"/partners/{partner.pk}/messages/{message.pk}/").content.decode()

    assert "Authorization: Token …" in page
    assert "&quot;a&quot;: {\n    &quot;b&quot;: &quot;&lt;script&gt;&quot;" in page
    assert "cut {" in page
    other = make_partner("ABC")
    assert admin.get(f"/partners/{other.pk}/messages/{message.pk}/").status_code == 404


def test_a_rule_is_shown_with_the_newest_message_that_broke_it(admin: Client) -> None:
    caller = Caller(make_partner("XYZ"))
    caller.post(BOOKINGS, {"token": "secret", "country_code": "SE"})

    [row] = caller.partner.deviations_seen.filter(code=2001)
    page = admin.get(f"/partners/{caller.partner.pk}/deviations/{row.pk}/").content.decode()

    assert "Refused with 2001" in page
    assert "&quot;country_code&quot;: &quot;SE&quot;" in page
    assert "secret" not in page
    assert f"/partners/{caller.partner.pk}/messages/{PartnerMessage.objects.get().pk}/" in page


def test_bookings_nobody_asked_for_come_with_what_to_do(admin: Client, clock: Any) -> None:
    partner = make_partner("XYZ")
    known = book(evse_online())
    for number, changes in enumerate(
        [{}, {"reservation_status": "CANCELED"}, {"request_id": known.request_id}]
    ):
        raw = booking(id=f"B-{number}", **changes)
        PartnerObject.objects.create(
            partner=partner, kind="booking", country_code="SE", party_id="XYZ", key=f"B-{number}", raw=raw,
            received_at=NOW, is_unmatched=True,
        )  # fmt: skip
    PartnerObject.objects.create(
        partner=partner, kind="booking", country_code="SE", party_id="XYZ", key="B-X", raw={}, received_at=NOW,
        is_unmatched=True,
    )  # fmt: skip

    page = admin.get(f"/partners/{partner.pk}/").content.decode()

    assert page.count("<tr data-unmatched") == 4
    for words in (
        "ask the partner to cancel it",
        "It is over at the partner",
        f"that of our booking {known}",
        "It cannot be read",
    ):
        assert words in page, words


def test_a_partner_that_makes_up_names_neither_fills_the_list_nor_hides_what_people_are_told() -> None:
    partner = make_partner("XYZ", deviations={f"booking.made_up_{n}.empty": 1 for n in range(200)})

    deviations.count(partner, ["location." + "x" * 100_000, "location.time_zone.unreadable"])

    partner.refresh_from_db()
    assert partner.deviations["location.time_zone.unreadable"] == 1
    assert len(partner.deviations) == 201


def test_a_name_of_a_field_is_kept_as_far_as_anybody_reads_it() -> None:
    partner = make_partner("XYZ")

    deviations.count(partner, ["location." + "x" * 100_000])

    partner.refresh_from_db()
    assert [len(name) for name in partner.deviations] == [80]


def test_what_is_of_nobody_here_is_named_as_what_it_is() -> None:
    partner = make_partner()
    PartnerObject.objects.bulk_create(
        PartnerObject(
            partner=partner, kind=kind, country_code="SE", party_id="ABC", key=f"X-{kind}", raw={}, received_at=NOW,
            is_unmatched=True,
        )
        for kind in ("session", "cdr", "invoice_record", "booking")
    )  # fmt: skip

    rows = {each.what: each.advice(NOW) for each in unmatched(partner)}

    assert set(rows) == {"session", "CDR", "invoice's record", "booking"}
    assert len(set(rows.values())) == 4
