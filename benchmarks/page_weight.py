"""What the first load of each page costs on the wire, with an empty cache: the page and all that Chromium loads for it.

With the demo's data, served by `serve` as it ships. Whose pages: a dispatcher's, two depot managers', a viewer's and a
stranger's; which: one of each route that is reached by following links from the home page, boards by their number of days.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.urls import Resolver404, resolve
from playwright.sync_api import Browser, sync_playwright

from benchmarks.result import Result
from benchmarks.serving import served
from depots.models import User
from tests.browser import chromium
from tests.browser.weight import weight

PEOPLE = (
    "dispatcher@nordfracht.example",
    "manager@ladepark.example",
    "manager@nordfracht.example",
    "viewer@nordfracht.example",
)
MOST_KB = 200
_LINK = re.compile(rb'<a\b[^>]*\bhref="([^"#]+)')
Route = tuple[str, str]  # its name, and the number of days of a board


def run(names: list[str]) -> Iterator[Result]:
    call_command("load_demo", stdout=sys.stderr)
    weights: dict[str, int] = {}
    with served() as server, _browser() as browser:
        weights["stranger /"] = _weigh(browser, server.url, None, ["/"])["/"]
        for email in PEOPLE:
            client = _signed_in(email)
            found = _weigh(browser, server.url, client, list(_pages(client).values()))
            weights |= {f"{email} {address}": size for address, size in found.items()}
    heaviest = sorted(weights, key=lambda name: -weights[name])
    detail = {
        "pages": len(weights),
        "heaviest_bytes": {name: weights[name] for name in heaviest[:5]},
        "lightest_bytes": {name: weights[name] for name in heaviest[-1:]},
        "by": "Chromium, headers included",
    }
    yield Result("page_weight", weights[heaviest[0]] / 1000, f"<= {MOST_KB}", detail)


def _pages(client: Client) -> dict[Route, str]:
    """An address of each route that somebody reaches by links."""
    found: dict[Route, str] = {("home", ""): "/"}
    waiting = ["/"]
    while waiting:
        address = waiting.pop(0)
        answer = client.get(address, follow=True)
        if answer.status_code != 200 or not answer.get("Content-Type", "").startswith("text/html"):
            found = {
                route: kept for route, kept in found.items() if kept != address
            }  # a file to keep, or nothing
            continue
        for link in _LINK.findall(answer.content):
            target = urljoin(answer.request["PATH_INFO"], link.decode().replace("&amp;", "&"))
            route = _route(target)
            if route and route not in found:
                found[route] = target
                waiting.append(target)
    return found


def _route(target: str) -> Route | None:
    parts = urlsplit(target)
    if parts.netloc or not target.startswith("/"):
        return None
    try:
        name = resolve(parts.path).view_name
    except Resolver404:
        return None
    return name, parse_qs(parts.query).get("view", [""])[0]


def _weigh(browser: Browser, url: str, client: Client | None, addresses: list[str]) -> dict[str, int]:
    context = browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900})
    if client is not None:
        name = settings.SESSION_COOKIE_NAME
        context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])
    found = {address: weight(context.new_page(), url + address) for address in addresses}
    context.close()
    return found


def _signed_in(email: str) -> Client:
    client = Client(SERVER_NAME="127.0.0.1")
    user = User.objects.get(email=email)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@contextmanager
def _browser() -> Iterator[Browser]:
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(chromium.NODE))
    found = chromium.find()
    environment: dict[str, Any] = {**os.environ, **found.environment}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(found.executable),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            env=environment,
        )
        yield browser
        browser.close()
