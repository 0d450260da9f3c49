"""A second network beside a simulated partner, to try a platform against: it begins when a file invites it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulators.partner.other_platform import PlatformError
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.platform import SimulatedPartner


class Sandbox:
    """`file` has {"versions_url", "token_a", "country_code", "party_id", "name"}. A newer token in it registers anew."""

    def __init__(self, beside: PartnerSettings, file: Path) -> None:
        self._beside, self._file = beside, file
        self.partner: SimulatedPartner | None = None

    def settle(self) -> bool:
        """Begin, or register, if the file says so. False when to try again soon: the platform may still be starting."""
        invitation = self._invitation()
        if invitation is None:
            return True
        try:
            if self.partner is None:
                self.partner = SimulatedPartner(self._settings(invitation)).start()
                self._beside.say(f"The sandbox listens on {self.partner.versions_url}")
            self.partner.registration.use_invitation(self._file)
            self.partner.registration.announce_address()
        except (PlatformError, OSError, ValueError) as failure:
            self._beside.say(f"The sandbox cannot register: {failure}")
            return False
        return True

    def stop(self) -> None:
        if self.partner is not None:
            self.partner.stop()

    def _invitation(self) -> dict[str, Any] | None:
        try:
            read = json.loads(self._file.read_text())
            return read if read["token_a"] and read["party_id"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _settings(self, invitation: dict[str, Any]) -> PartnerSettings:
        country, party = str(invitation["country_code"]).upper(), str(invitation["party_id"]).upper()
        return replace(
            self._beside,
            state_file=self._file.with_name(f"{country}-{party}.json"),
            listen=(self._beside.listen[0], 0),
            public_url="",
            country_code=country,
            party_id=party,
            name=str(invitation["name"]),
            book_every=None,
        )
