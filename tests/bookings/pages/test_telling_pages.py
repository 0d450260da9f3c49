"""Inbox, settings, webhooks and calendars: whose they are, and what their forms do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.test import Client
from django.urls import reverse
from icalendar import Calendar

from bookings import operations
from bookings.models import (
    CalendarFeed,
    InboxMessage,
    NotificationChoice,
    Reader,
    Webhook,
    WebhookDelivery,
)
from bookings.notifications import calendar_feeds, inbox
from bookings.pages.live.audiences import listeners
from bookings.pages.live.inbox import render_inboxes
from bookings.webhooks.registry import make_webhook
from tests.bookings.people import client_of
from tests.factories import (
    DISPATCHER,
    NOW,
    book_slot,
    make_evse,
    make_fleet,
    make_user,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = pytest.mark.django_db
URL = "https://hooks.example/berth"
PARAMS = {"plate": "HH-NF 7", "depot": "Kassel", "zone": "Europe/Berlin", "starts_at": "2030-01-15T10:00:00Z",
          "ends_at": "2030-01-15T11:00:00Z"}  # fmt: skip


@pytest.fixture(autouse=True)
def _now():
    with time_machine.travel(NOW, tick=False):
        yield


def address(name: str, *arguments: Any) -> str:
    return reverse(f"telling:{name}", args=arguments)


def message(user, **fields: Any) -> InboxMessage:
    told = {"kind": "granted", "params": PARAMS, "link": "/bookings/7/", "at": NOW}
    return InboxMessage.objects.create(user=user, **{**told, **fields})


def version_in(client: Client, url: str) -> str:
    text = client.get(url).content.decode()
    return text.partition('name="version" value="')[2].partition('"')[0]


def test_a_message_is_opened_once_read_and_leads_to_what_it_is_about():
    user = make_user(make_fleet())
    row, client = message(user), client_of(user)

    shown = client.get(address("inbox")).content.decode()
    opened = client.post(address("inbox_open", row.pk))
    again = client.get(address("inbox")).content.decode()

    assert "Granted: HH-NF 7 at Kassel, Tue 15 Jan 2030, 11:00–12:00 (Europe/Berlin)" in shown
    assert opened["Location"] == "/bookings/7/"
    assert ("is-unread" in shown, "is-unread" in again) == (True, False)
    assert [f"{{&quot;{user.pk}&quot;: {n}}}" in page for n, page in ((1, shown), (0, again))] == [True, True]


@pytest.mark.parametrize("link", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_a_message_leads_nowhere_else(link: str):
    user = make_user(make_fleet())

    assert client_of(user).post(address("inbox_open", message(user, link=link).pk))["Location"] == "/inbox/"


def test_a_message_of_somebody_else_is_not_there():
    theirs = message(make_user(make_fleet()))
    client = client_of(make_user(make_fleet()))

    assert client.post(address("inbox_open", theirs.pk)).status_code == 404
    assert "HH-NF 7" not in client.get(address("inbox")).content.decode()


def test_all_is_read_up_to_what_was_shown():
    user = make_user(make_fleet())
    seen, meanwhile = message(user), message(user)

    client_of(user).post(address("inbox_read"), {"newest": seen.pk})

    assert list(inbox.messages_of(user).filter(read_at=None)) == [meanwhile]


def test_an_inbox_takes_as_many_queries_for_fifty_messages_as_for_one(django_assert_max_num_queries):
    user = make_user(make_fleet())
    for _ in range(60):
        message(user)

    client = client_of(user)

    with django_assert_max_num_queries(7):
        client.get(address("inbox"))


def test_open_pages_of_one_person_alone_hear_how_much_is_unread():
    user, other = make_user(make_fleet()), make_user(make_fleet())
    message(user)
    keys = {person.pk: client_of(person).session.session_key for person in (user, other)}

    heard = listeners(set(keys.values()), NOW)

    assert inbox.audience(user.pk) in heard[keys[user.pk]].audiences
    assert inbox.audience(user.pk) not in heard[keys[other.pk]].audiences
    assert render_inboxes([user.pk]) == {user.pk: {inbox.audience(user.pk): {"person": user.pk, "unread": 1}}}


def test_a_person_keeps_what_differs_from_the_table_and_the_language():
    user = make_user(make_fleet())
    client, url = client_of(user), address("notifications")
    version = version_in(client, url)

    sent = {"version": version, "language": "de", "granted_inbox": "on", "declined_mail": "on"}
    answer = client.post(url, sent)

    assert answer.status_code == 302
    chosen = {row.kind: (row.inbox, row.mail) for row in NotificationChoice.objects.filter(user=user)}
    assert (chosen["granted"], chosen["declined"]) == ((True, False), (False, True))
    assert Reader.objects.get(user=user).language == "de"
    assert "Eine Anfrage von uns ist zugesagt" in client.get(url).content.decode()


@pytest.mark.parametrize("version", [None, "", "x", "0", "7"])
def test_settings_without_the_version_they_showed_change_nothing(version):
    user = make_user(make_fleet())

    sent = {"language": "de"} | ({} if version is None else {"version": version})
    answer = client_of(user).post(address("notifications"), sent)

    assert answer.status_code == 409
    assert not Reader.objects.exists()


def test_a_webhook_is_made_shown_its_secret_once_tried_paused_and_removed():
    admin = make_user(make_fleet(), "admin")
    client = client_of(admin)
    made = client.post(
        address("webhook_add"), {"organisation": admin.memberships.get().organisation_id, "url": URL, "events": ["booking.held"]}
    )  # fmt: skip
    hook = Webhook.objects.get()
    page = address("webhook", hook.pk)

    def send(name: str) -> int:
        return client.post(address(name, hook.pk), {"version": version_in(client, page)}).status_code

    assert made.status_code == 201
    assert "whsec_" in made.content.decode()
    assert "whsec_" not in client.get(page).content.decode()
    assert send("webhook_test") == 302
    assert hook.deliveries.get().event is None
    assert send("webhook_pause") == 302
    assert send("webhook_test") == 409
    assert send("webhook_resumption") == 302
    assert send("webhook_removal") == 302
    assert not Webhook.objects.exists()


@pytest.mark.parametrize("url", ["http://hooks.example/", "https://10.0.0.1/", "", "nonsense"])
def test_a_webhook_with_an_address_that_is_not_called_is_refused_at_its_field(url):
    admin = make_user(make_fleet(), "admin")
    organisation = admin.memberships.get().organisation_id

    answer = client_of(admin).post(address("webhook_add"), {"organisation": organisation, "url": url})

    assert answer.status_code == 422
    assert "field-error" in answer.content.decode()
    assert not Webhook.objects.exists()


def test_a_log_shows_what_came_back_and_sends_again(django_assert_max_num_queries):
    admin = make_user(make_fleet(), "admin")
    hook, _ = make_webhook(organisation=admin.memberships.get().organisation, url=URL, now=NOW)
    rows = [
        WebhookDelivery.objects.create(
            webhook=hook, state="given_up", status=500, answer="<b>broken</b>", attempts=1, next_try_at=NOW, created_at=NOW
        )
        for _ in range(5)
    ]  # fmt: skip
    client, page = client_of(admin), address("webhook", hook.pk)

    with django_assert_max_num_queries(8):
        text = client.get(page).content.decode()
    client.post(address("webhook_again", hook.pk, rows[0].pk), {"version": version_in(client, page)})

    rows[0].refresh_from_db()
    assert "&lt;b&gt;broken&lt;/b&gt;" in text
    assert rows[0].state == "waiting"


def test_the_webhooks_of_others_are_not_there():
    hook, _ = make_webhook(organisation=make_fleet(), url=URL, now=NOW)
    row = WebhookDelivery.objects.create(webhook=hook, next_try_at=NOW, created_at=NOW)
    people = {
        "admin of another": make_user(make_fleet(), "admin"),
        "dispatcher": make_user(hook.organisation),
    }
    forms = ["webhook_pause", "webhook_resumption", "webhook_test", "webhook_removal"]

    for client in map(client_of, people.values()):
        assert client.get(address("webhook", hook.pk)).status_code == 404
        for name in forms:
            assert client.post(address(name, hook.pk), {"version": "7"}).status_code == 404
        assert client.post(address("webhook_again", hook.pk, row.pk), {"version": "7"}).status_code == 404
    assert client_of(people["dispatcher"]).get(address("webhooks")).status_code == 404
    hook.refresh_from_db()
    assert hook.state == "active"


def test_a_form_of_a_webhook_without_its_version_changes_nothing():
    admin = make_user(make_fleet(), "admin")
    hook, _ = make_webhook(organisation=admin.memberships.get().organisation, url=URL, now=NOW)

    assert client_of(admin).post(address("webhook_pause", hook.pk)).status_code == 409
    hook.refresh_from_db()
    assert hook.state == "active"


PAGES = ["inbox", "notifications", "webhooks", "calendars"]


@pytest.mark.parametrize("name", PAGES)
def test_a_stranger_is_asked_to_sign_in_first(name):
    assert Client().get(address(name)).status_code == 302


@pytest.fixture
def booked():
    """A booking of a fleet at another operator's depot."""
    evse, vehicle = make_evse(), make_vehicle()
    return book_slot(fleet=vehicle.fleet, option=option_of(evse), vehicle=vehicle, period=slot(10, 11))


def subscribed(user, of: str) -> str:
    """The path that the page shows once; empty where it makes none."""
    text = client_of(user).post(address("calendar_add"), {"of": of}).content.decode()
    return text.partition("data-address>")[2].partition("<")[0].removeprefix(settings.BERTH_BASE_URL)


def entries(path: str) -> list[str]:
    calendar = Calendar.from_ical(Client().get(path).content)
    return [str(entry["SUMMARY"]) for entry in calendar.walk("VEVENT")]


def test_calendars_of_fleet_vehicle_and_depot_show_what_their_organisation_may_see(booked):
    dispatcher = make_user(booked.fleet)
    manager = make_user(booked.depot.operator, "depot_manager")
    other = make_vehicle(booked.fleet)
    told = f"{booked.plate}: {booked.depot.name}"

    fleet, vehicle, idle = (
        subscribed(dispatcher, of)
        for of in (f"fleet-{booked.fleet_id}", f"vehicle-{booked.vehicle_id}", f"vehicle-{other.pk}")
    )
    depot = subscribed(manager, f"depot-{booked.depot_id}")

    assert [entries(path) for path in (fleet, vehicle, idle, depot)] == [[told], [told], [], [told]]


def test_nobody_makes_a_calendar_of_what_is_not_theirs(booked):
    stranger = make_user(make_fleet())

    for of in (
        f"fleet-{booked.fleet_id}",
        f"vehicle-{booked.vehicle_id}",
        f"depot-{booked.depot_id}",
        "fleet-x",
        "",
    ):
        assert subscribed(stranger, of) == ""
    assert not CalendarFeed.objects.exists()


def test_a_calendar_that_did_not_change_is_not_sent_again(booked):
    path = subscribed(make_user(booked.fleet), f"fleet-{booked.fleet_id}")
    first = Client().get(path)

    same = Client().get(path, headers={"If-None-Match": first["ETag"]})
    operations.cancel_booking(booking_id=booked.pk, by="fleet", reason="TRAFFIC", actor=DISPATCHER, now=NOW)
    later = Client().get(path, headers={"If-None-Match": first["ETag"]})

    assert (first.status_code, same.status_code, later.status_code) == (200, 304, 200)
    assert same.content == b""
    assert entries(path) == []


def test_a_revoked_address_is_not_there(booked):
    user = make_user(booked.fleet)
    path = subscribed(user, f"fleet-{booked.fleet_id}")
    feed = CalendarFeed.objects.get()
    stranger = client_of(make_user(make_fleet()))

    assert stranger.post(address("calendar_revocation", feed.pk)).status_code == 404
    assert Client().get(path).status_code == 200
    client_of(user).post(address("calendar_revocation", feed.pk))

    assert Client().get(path).status_code == 404
    assert Client().get(path.replace(".ics", "x.ics")).status_code == 404


def test_a_calendar_takes_as_many_queries_for_many_bookings(booked, django_assert_max_num_queries):
    user = make_user(booked.fleet)
    for day in range(1, 6):
        book_slot(
            fleet=booked.fleet, option=booked.option, vehicle=booked.vehicle, period=slot(10, 11, day=day)
        )
    feed, _ = calendar_feeds.make_feed(organisation=booked.fleet, by=user, now=NOW)

    with django_assert_max_num_queries(2):
        calendar_feeds.etag(feed, now=NOW)
        text = calendar_feeds.content(feed, now=NOW).decode()

    assert text.count("BEGIN:VEVENT") == 6
    assert "04AA" not in text


def test_what_was_is_no_longer_in_a_calendar_after_a_month(booked):
    feed, _ = calendar_feeds.make_feed(organisation=booked.fleet, by=make_user(booked.fleet), now=NOW)

    assert not calendar_feeds.bookings_of(feed, now=NOW + timedelta(days=31))
