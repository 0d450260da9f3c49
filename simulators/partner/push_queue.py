"""What has changed and is owed to the other platform: bookings, the calendars they are taken from, and charging."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

from simulators.partner.ocpi_format import Json
from simulators.partner.other_platform import OtherPlatform, PlatformError
from simulators.partner.partner_settings import PartnerSettings

# What is read of the rest is put first: a booking location names its location, and a truck charges before its booking is used.
FIRST = {
    "tariff": 0, "location": 1, "booking_location": 2, "session": 3, "booking": 4, "cdr": 5, "invoice_record": 6,
}  # fmt: skip


class Push(NamedTuple):
    """What to put below our party in a Receiver of the other platform, or with POST on its address, and to which party."""

    module: str
    path: str
    body: Json
    to_party: tuple[str, str] | None = None
    method: str = "PUT"


class PushQueue:
    """`render(kind, key)` gives what to put: the object as it is now, or None where there is nothing any more."""

    def __init__(
        self, settings: PartnerSettings, peer: OtherPlatform, render: Callable[[str, str], Push | None]
    ) -> None:
        self._settings, self._peer, self._render = settings, peer, render
        self._due: set[tuple[str, str]] = set()
        self._under_way = False
        self.has_news = threading.Event()

    def add(self, kind: str, key: str) -> None:
        self._due.add((kind, key))
        self.has_news.set()

    @property
    def is_idle(self) -> bool:
        """Whether the other platform has got everything."""
        return not self._due and not self._under_way

    def push_all(self) -> None:
        """Raises PlatformError; what could not be pushed stays due. What a hub could not hand over does not: that party reads our
        lists when it is back."""
        while self._due:
            kind, key = min(self._due.copy(), key=lambda due: (FIRST[due[0]], due[1]))
            self._under_way = True
            self._due.discard((kind, key))  # before the push: a change while it is under way is sent again
            try:
                self._push(self._render(kind, key))
            except PlatformError as failure:
                if failure.is_behind_hub:
                    self._settings.say(str(failure))
                    continue
                self._due.add((kind, key))
                raise
            finally:
                self._under_way = False

    def _push(self, push: Push | None) -> None:
        if push is None or not self._peer.has(push.module, "RECEIVER"):
            return
        base, party = self._peer.endpoint(push.module, "RECEIVER"), self._settings.party
        url = f"{base}/{party['country_code']}/{party['party_id']}/{quote(push.path)}"
        to_party = push.to_party or self._peer.hub
        self._peer.call(push.method, url if push.method == "PUT" else base, push.body, to_party=to_party)
