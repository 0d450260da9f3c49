"""By which address and security profile a charger connects: one way in 1.6, numbered ones in an order of their own in 2.x."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulators.charger.script import Json

if TYPE_CHECKING:
    from simulators.charger.charger import SimulatedCharger

PROFILE = "SecurityProfile"
PRIORITY = "OCPPCommCtrlr.NetworkConfigurationPriority"
SETTINGS = {PROFILE, PRIORITY}
MOST_SLOTS = 3


@dataclass(frozen=True)
class NetworkProfile:
    url: str
    security_profile: int


class NetworkProfiles:
    """The first of the order that connects is used; where one fails the next is tried (B10, A05)."""

    def __init__(self, charger: SimulatedCharger, secure_url: str) -> None:
        self._charger, self._secure_url = charger, secure_url
        self.security_profile = 1
        self._slots: dict[int, NetworkProfile] = {}
        self._order = [1]
        self._place = 0

    def change(self, name: str, value: str) -> str:
        """The status of a change of one of SETTINGS."""
        try:
            told = [int(part) for part in value.split(",")]
        except ValueError:
            return "Rejected"
        return self._raise(told[0]) if name == PROFILE else self._put_in_order(told)

    def set_slot(self, asked: Json) -> Json:
        """The answer to SetNetworkProfile."""
        slot, told = asked["configurationSlot"], asked["connectionData"]
        profile = NetworkProfile(told["ocppCsmsUrl"], told["securityProfile"])
        in_use = self._order[self._place]
        takes = 1 <= slot <= MOST_SLOTS and slot != in_use and self._may_use(profile.security_profile)
        if takes:
            self._slots[slot] = profile
        return {"status": "Accepted" if takes else "Rejected"}

    def restart(self) -> None:
        """The order counts from a restart on."""
        self._place = 0
        self._use()

    def try_next(self) -> None:
        """By this one it could not connect."""
        self._place = (self._place + 1) % len(self._order)
        self._use()

    def _raise(self, profile: int) -> str:
        """1.6: taken up with the next connection, at the same host."""
        if profile <= self.security_profile or not self._may_use(profile):
            return "Rejected"
        self._slots = {1: NetworkProfile(self._charger.url, self.security_profile)}
        self._slots[2] = NetworkProfile(self._secure_url or self._charger.url.replace("ws:", "wss:"), profile)
        self._order = [2, 1]
        self.restart()
        self._charger.soon(self._charger.leave())
        return "Accepted"

    def _put_in_order(self, slots: list[int]) -> str:
        if not slots or any(slot != self._order[self._place] and slot not in self._slots for slot in slots):
            return "Rejected"
        self._slots.setdefault(
            self._order[self._place], NetworkProfile(self._charger.url, self.security_profile)
        )
        self._order, self._place = slots, slots.index(self._order[self._place])
        self._charger.configuration[PRIORITY] = ",".join(map(str, slots))
        return "Accepted"

    def _may_use(self, profile: int) -> bool:
        """Never less than it has; TLS needs a root, the third profile a certificate too."""
        has_papers = self._charger.roots.hashes() and (profile < 3 or self._charger.tls.certificate)
        return self.security_profile <= profile <= 3 and bool(has_papers)

    def _use(self) -> None:
        if found := self._slots.get(self._order[self._place]):
            self._charger.url, self.security_profile = found.url, found.security_profile
