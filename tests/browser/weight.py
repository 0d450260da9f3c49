"""What a page costs on the wire, as Chromium counts it."""

from __future__ import annotations

from playwright.sync_api import Page


def weight(page: Page, address: str) -> int:
    """Bytes received for a page with everything it loads, headers included."""
    received: list[float] = []
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
    wire.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.goto(address)
    page.wait_for_function("document.fonts.status === 'loaded' && document.readyState === 'complete'")
    wire.detach()
    return int(sum(received))
