"""What has changed and is owed to the other platform: bookings, and the calendars they are taken from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import quote

from simulators.partner.ocpi_format import Json
from simulators.partner.other_platform import OtherPlatform, PlatformError
from simulators.partner.partner_settings import PartnerSettings

Push = tuple[str, Json, tuple[str, str] | None]


class PushQueue:
    """`render(kind, key)` gives what to put: the path below our party, the object as it is now, and to which party."""

    def __init__(
        self, settings: PartnerSettings, peer: OtherPlatform, render: Callable[[str, str], Push]
    ) -> None:
        self._settings, self._peer, self._render = settings, peer, render
        self._due: set[tuple[str, str]] = set()
        self.has_news = threading.Event()

    def add(self, kind: str, key: str) -> None:
        self._due.add((kind, key))
        self.has_news.set()

    def push_all(self) -> None:
        """Raises PlatformError; what could not be pushed stays due."""
        party = self._settings.party
        base = self._peer.endpoint("booking", "RECEIVER")
        while self._due:
            kind, key = self._due.pop()  # before the push: a change while it is under way is sent again
            path, body, to_party = self._render(kind, key)
            url = f"{base}/{party['country_code']}/{party['party_id']}/{quote(path)}"
            try:
                self._peer.call("PUT", url, body, to_party=to_party)
            except PlatformError:
                self._due.add((kind, key))
                raise
