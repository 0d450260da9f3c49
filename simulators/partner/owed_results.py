"""Results of what others have our chargers do: owed to the party that asked, and told a moment later."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import NamedTuple

from simulators.partner.ocpi_format import Json
from simulators.partner.other_platform import OtherPlatform, PlatformError
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.requests import Request, RoutedAnswer

TIMEOUT_S = 30


class Owed(NamedTuple):
    """Whoever asked waits for it `until` then."""

    url: str
    result: Json
    to_party: tuple[str, str] | None
    until: datetime


class OwedResults:
    def __init__(self, settings: PartnerSettings, peer: OtherPlatform) -> None:
        self._settings, self._peer = settings, peer
        self._owed: deque[Owed] = deque()

    def owe(self, request: Request, url: str, result: Json) -> RoutedAnswer:
        """The answer to the request, that it is being carried out."""
        until = self._settings.clock() + timedelta(seconds=TIMEOUT_S)
        self._owed.append(Owed(url, result, request.sender, until))
        return said("ACCEPTED")

    def tell(self) -> None:
        """Raises PlatformError; what could not be told stays owed as long as it is waited for, behind the others."""
        failures: list[PlatformError] = []
        for _ in range(len(self._owed)):
            owed = self._owed.popleft()
            try:
                self._peer.call("POST", owed.url, owed.result, to_party=owed.to_party)
            except PlatformError as failure:
                failures.append(failure)
                if self._settings.clock() < owed.until:
                    self._owed.append(owed)
        if failures:
            raise failures[0]


def said(result: str) -> RoutedAnswer:
    return RoutedAnswer({"result": result, "timeout": TIMEOUT_S})
