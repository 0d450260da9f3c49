from __future__ import annotations

import json
from pathlib import Path

import pytest
from django import template
from django.contrib import messages
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.test import RequestFactory
from django_htmx.middleware import HtmxDetails

from depots import pages

ROOT = Path(__file__).resolve().parents[2]


def _request(**headers: str) -> HttpRequest:
    request = RequestFactory().get("/bookings/7/", headers=headers)
    request.htmx = HtmxDetails(request)  # type: ignore[attr-defined]
    request._messages = CookieStorage(request)  # type: ignore[attr-defined]
    return request


@pytest.mark.parametrize(
    ("headers", "is_whole"),
    [
        ({}, True),
        ({"HX-Request": "true"}, False),
        ({"HX-Request": "true", "HX-Boosted": "true"}, True),
        ({"HX-Request": "true", "HX-History-Restore-Request": "true"}, True),
    ],
)
def test_htmx_gets_the_part_and_everything_else_the_whole_page(
    headers: dict[str, str], is_whole: bool
) -> None:
    response = pages.respond(_request(**headers), "account/link_over", status=410)

    assert response.status_code == 410
    assert (b"<html" in response.content) is is_whole
    assert b'id="link-over"' in response.content
    assert "HX-Request" in response["Vary"]


def test_a_part_carries_the_messages_as_toasts() -> None:
    request = _request(**{"HX-Request": "true"})
    messages.success(request, "Booking confirmed – Köln")

    response = pages.respond(request, "account/link_over")

    told = json.loads(response["HX-Trigger"])
    toast = {"level": "success", "text": "Booking confirmed – Köln", "undo": ""}
    assert told == {"berth:toasts": {"toasts": [toast]}}


def test_done_leads_on_closes_the_dialog_or_loads_the_page_it_leads_to() -> None:
    plain = pages.done(_request(), "/bookings/7/", "Cancelled.")
    from_there = pages.done(
        _request(**{"HX-Request": "true", "HX-Current-URL": "http://testserver/bookings/7/"}),
        "/bookings/7/",
        "Cancelled.",
    )
    from_elsewhere = pages.done(
        _request(**{"HX-Request": "true", "HX-Current-URL": "http://testserver/bookings/"}),
        "/bookings/7/",
        "Cancelled.",
    )

    assert (plain.status_code, plain["Location"]) == (302, "/bookings/7/")
    assert from_there.status_code == 204
    assert set(json.loads(from_there["HX-Trigger"])) == {"berth:toasts", "berth:close", "berth:resync"}
    assert from_elsewhere["HX-Redirect"] == "/bookings/7/"


def test_no_template_has_anything_inline() -> None:
    markers = ("<style", " style=", " onclick=", " onchange=", "javascript:", "hx-on", "<script>")
    templates = sorted((ROOT / "templates").rglob("*.html"))

    found = [(path.name, marker) for path in templates for marker in markers if marker in path.read_text()]

    assert templates
    assert found == []


def test_every_part_says_what_it_needs() -> None:
    parts = sorted((ROOT / "templates").rglob("_*.html"))

    assert parts
    assert [part.name for part in parts if not part.read_text().lstrip().startswith("{# needs: ")] == []


def test_done_leads_on_from_a_page_that_names_itself_wrongly() -> None:
    broken = pages.done(_request(**{"HX-Request": "true", "HX-Current-URL": "http://[::1"}), "/bookings/7/")

    assert broken["HX-Redirect"] == "/bookings/7/"


def _pager(tag: str, address: str, number: int) -> str:
    page = Paginator(range(5), 2).get_page(number)
    shown = template.Context({"page": page, "request": RequestFactory().get(address)})
    return template.Template("{% load berth %}" + tag).render(shown)


def test_links_to_other_pages_of_a_list_keep_what_else_the_address_asks_for() -> None:
    shown = _pager('{% pager page "Newer" "Older" of="invoices" %}', "/x/?state=open&page=2&month=2026-10", 2)

    assert 'href="?state=open&amp;month=2026-10&amp;page=1"' in shown
    assert 'href="?state=open&amp;month=2026-10&amp;page=3"' in shown
    assert "Page 2 of 3 · 5 invoices" in shown


def test_a_list_shown_in_answer_to_a_form_leads_back_to_its_own_address() -> None:
    shown = _pager(
        '{% pager page "Before" "Next" name="matched" at="/list/?side=x" %}', "/list/acceptances/", 1
    )

    assert 'href="/list/?side=x&amp;matched=2"' in shown
    assert "Before" not in shown


def test_a_list_of_one_page_has_no_links() -> None:
    page = Paginator(range(2), 2).get_page(1)
    shown = template.Context({"page": page, "request": RequestFactory().get("/x/")})

    assert "<nav" not in template.Template('{% load berth %}{% pager page "a" "b" %}').render(shown)
