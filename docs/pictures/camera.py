"""A browser that signs in as people of the demo and takes pictures of what they see."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser import chromium

PASSWORD = "berth-demo"  # noqa: S105 - the demo prints it for everybody
PATIENCE_MS = 30_000


@dataclass(frozen=True)
class Picture:
    """What `login` sees after `go` has led there, in a window of this many pixels; `scale` makes them finer."""

    name: str
    login: str
    go: Callable[[Page], None]
    width: int = 1440
    height: int = 900
    scale: int = 1


@dataclass
class Camera:
    url: str
    browser: Browser
    _signed_in: dict[tuple[str, int], BrowserContext] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def at(cls, url: str) -> Iterator[Camera]:
        found = chromium.find()
        # Playwright's own node wants a system library that a bare machine lacks.
        os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(chromium.NODE))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=str(found.executable),
                args=["--no-sandbox", "--disable-dev-shm-usage"],
                env={**os.environ, **found.environment},
            )
            yield cls(url, browser)
            browser.close()

    def take(self, picture: Picture, path: Path) -> None:
        page = self._somebody(picture.login, picture.scale).new_page()
        page.set_viewport_size({"width": picture.width, "height": picture.height})
        picture.go(page)
        page.wait_for_load_state("load")
        page.evaluate("document.fonts.ready")
        page.screenshot(path=path, animations="disabled", caret="hide")
        page.close()

    def _somebody(self, login: str, scale: int) -> BrowserContext:
        """The browser of somebody who has signed in."""
        if (login, scale) not in self._signed_in:
            context = self.browser.new_context(
                base_url=self.url, locale="en-GB", timezone_id="Europe/Berlin", device_scale_factor=scale
            )
            context.set_default_timeout(PATIENCE_MS)
            page = context.new_page()
            page.goto("/")
            page.fill("[name=login]", login)
            page.fill("[name=password]", PASSWORD)
            page.click("button[type=submit]")
            page.wait_for_load_state("load")
            page.close()
            self._signed_in[login, scale] = context
        return self._signed_in[login, scale]
