"""A real browser for every test below this folder.

Playwright's synchronous interface keeps an event loop running in the main thread while it is open. So its fixtures
end with this package, not with the session: a test elsewhere that runs a loop of its own would meet this one. And while
it is open Django takes every query for one from asynchronous code, which it is told not to.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserType, Page, Playwright, expect, sync_playwright

from depots.models import User
from tests.browser import chromium
from tests.browser.yards import Yard, make_yard, sign_in
from tests.serving import BerthServer

# Playwright's own node wants a system library that a bare machine lacks.
os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(chromium.NODE))


@pytest.fixture(scope="package", autouse=True)
def _queries_beside_an_event_loop() -> Iterator[None]:
    """For as long as the loop runs: a test's database is emptied after its own fixtures have gone."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


@pytest.fixture(scope="package")
def playwright(django_db_setup: None) -> Iterator[Playwright]:
    # The database first: Django would refuse to create it beside the event loop.
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def browser_type(playwright: Playwright) -> BrowserType:
    return playwright.chromium


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    browser = chromium.find()
    return {
        "executable_path": str(browser.executable),
        # Containers have neither the sandbox's privileges nor much shared memory.
        "args": ["--no-sandbox", "--disable-dev-shm-usage"],
        "env": {**os.environ, **browser.environment},
    }


@pytest.fixture(scope="package")
def launch_browser(
    browser_type: BrowserType, browser_type_launch_args: dict[str, Any]
) -> Callable[..., Browser]:
    def launch(**options: Any) -> Browser:
        return browser_type.launch(**{**browser_type_launch_args, **options})

    return launch


@pytest.fixture(scope="package")
def browser(launch_browser: Callable[..., Browser]) -> Iterator[Browser]:
    running = launch_browser()
    yield running
    running.close()


@pytest.fixture(scope="package")
def browser_context_args() -> dict[str, Any]:
    # Without a locale the page's Intl fails in a POSIX environment.
    return {"locale": "en-GB", "timezone_id": "Europe/Berlin", "viewport": {"width": 1400, "height": 900}}


@pytest.fixture
def yard() -> Yard:
    return make_yard()


@pytest.fixture
def opened(browser: Browser, berth_server: BerthServer) -> Iterator[Callable[..., Page]]:
    """Open a page as somebody, in a browser of their own, and wait until its stream is heard."""
    contexts = []

    def page(user: User, path: str, *, width: int = 1440) -> Page:
        # A zone on the other side of the world: a board shows its depot's time whatever the browser thinks.
        context = browser.new_context(
            locale="en-GB", timezone_id="America/Los_Angeles", viewport={"width": width, "height": 900}
        )
        contexts.append(context)
        found = context.new_page()
        sign_in(found, user, berth_server)
        found.goto(berth_server.url + path)
        expect(found.locator("html[data-live='on']")).to_be_attached()
        return found

    yield page
    for context in contexts:  # or its streams would stay with the server, and its scripts go on
        context.close()
