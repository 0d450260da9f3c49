"""The browser the other tests rest on is a real one: it draws text, and lives beside the database and event loops."""

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_text_is_drawn_with_a_font(page: Page) -> None:
    page.set_content('<p id="text" style="display: inline-block; font-size: 40px">Berth</p>')
    box = page.locator("#text").bounding_box()
    assert box is not None
    assert box["width"] > 60

    with_text = page.screenshot()
    page.set_content("<p></p>")
    assert page.screenshot() != with_text


def test_numbers_and_dates_have_a_locale(page: Page) -> None:
    assert page.evaluate("new Intl.DateTimeFormat().resolvedOptions().locale") == "en-GB"
