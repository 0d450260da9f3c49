"""What the first look at a page costs on the wire, with an empty cache."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser.weight import weight
from tests.browser.yards import Yard
from tests.factories import make_user
from tests.serving import BerthServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MOST = 200_000


def test_the_first_load_of_a_page_is_light(
    opened: Callable[..., Page], yard: Yard, berth_server: BerthServer
) -> None:
    dispatcher = make_user(yard.fleet)
    bookings = [yard.book(evse, hour) for evse in yard.evses for hour in range(8, 20, 2)]

    weights = {}
    for user, paths in (
        (yard.manager, [yard.board, f"{yard.board}&days=7", "/requests/", f"/depots/{yard.depot.code}/"]),
        (dispatcher, ["/", "/slots/", "/bookings/", bookings[0].get_absolute_url()]),
    ):
        page = opened(user, "/")
        weights |= {path: weight(page, berth_server.url + path) for path in paths}

    assert {path: bytes_ for path, bytes_ in weights.items() if bytes_ > MOST} == {}
    assert min(weights.values()) > 50_000, "nothing was counted"


@pytest.mark.parametrize("path", ["/", "/static/css/tabler.css", "/static/django_htmx/htmx-2.min.js"])
def test_text_leaves_compressed_and_only_for_who_takes_it(berth_server: BerthServer, path: str) -> None:
    packed = httpx.get(berth_server.url + path, headers={"Accept-Encoding": "gzip"})
    plain = httpx.get(berth_server.url + path, headers={"Accept-Encoding": "identity"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert packed.num_bytes_downloaded < len(plain.content) / 2


def test_fonts_and_answers_to_partners_go_as_they_are(berth_server: BerthServer) -> None:
    for path in ("/static/vendor/inter/inter-latin.woff2", "/ocpi/versions"):
        answer = httpx.get(berth_server.url + path, headers={"Accept-Encoding": "gzip"})

        assert "Content-Encoding" not in answer.headers
