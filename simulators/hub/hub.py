"""The hub as a whole: its port, those it connects, and what it does by itself."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import timedelta

from simulators.hub.client_infos import ClientInfos
from simulators.hub.members import Member, Members
from simulators.hub.messages import Addresses
from simulators.hub.relay import Relay
from simulators.hub.router import HubRouter
from simulators.hub.switchboard import Switchboard
from simulators.partner.http_listener import listen
from simulators.partner.ocpi_format import Json, envelope
from simulators.partner.other_platform import HUB
from simulators.partner.partner_settings import ROLES, PartnerSettings
from simulators.partner.platform import SimulatedPartner
from simulators.partner.state_file import StateFile

WORK_EVERY_S = 0.25
# Who has said nothing for so long is asked whether it is there; who is not, more often.
QUIET_FOR, AWAY_FOR = timedelta(minutes=5), timedelta(seconds=15)


@dataclass(frozen=True)
class HubParty:
    """A simulated partner behind the hub, on a platform of its own."""

    country_code: str
    party_id: str
    roles: tuple[str, ...] = ROLES


class SimulatedHub:
    """`settings` are those of the hub's own party. Raises OSError where it cannot listen, ValueError for a state file that is
    none."""

    def __init__(self, settings: PartnerSettings, parties: tuple[HubParty, ...] = ()) -> None:
        self.settings = settings
        self.state = StateFile(settings.state_file)
        self._listener = listen(settings.listen, self.state.get("port", 0))
        self.port = int(self._listener.server_address[1])
        self.url = (settings.public_url or f"http://{settings.listen[0]}:{self.port}").rstrip("/")
        self.versions_url = f"{self.url}/ocpi/versions"
        with self.state.changing() as state:
            state["port"] = self.port

        self.members = Members(settings, self.versions_url, self._introduce, self._on_registered)
        self.infos = ClientInfos(settings, self.state, self.members)
        self.relay = Relay(settings, Addresses(self.url))
        self.switchboard = Switchboard(settings, self.members, self.infos, self.relay)
        router = HubRouter(settings, self.url, self.members, self.infos, self.switchboard, self.relay)
        self._answer = router.answer
        self._listener.answer = self.answer

        self.partners = [SimulatedPartner(self._settings_of(party)) for party in parties]
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._listener.serve_forever, args=(0.05,), name="hub", daemon=True),
            threading.Thread(target=self._work, name="hub at work", daemon=True),
        ]

    def start(self) -> SimulatedHub:
        for thread in self._threads:
            thread.start()
        for partner in self.partners:
            partner.start()
            if not partner.peer.is_registered:
                partner.registration.register(self.versions_url, self.invite())
        return self

    def stop(self) -> None:
        for partner in self.partners:
            partner.stop()
        self._stopping.set()
        self._listener.shutdown()
        for thread in self._threads:
            thread.join(timeout=20)
        self._listener.server_close()

    def __enter__(self) -> SimulatedHub:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def invite(self) -> str:
        """A token A, with which one platform registers here."""
        return self.members.add().registration.invite()

    def register(self, versions_url: str, token_a: str) -> None:
        """Register with a platform that has invited the hub, unless it is connected. Raises PlatformError."""
        known = [m for m in self.members if m.peer.is_registered]
        if all(member.peer.known()["versions_url"] != versions_url for member in known):
            self.members.add().registration.register(versions_url, token_a)

    @property
    def is_idle(self) -> bool:
        """Whether everybody has been told everything."""
        return (
            self.infos.is_idle and self.switchboard.is_idle and all(p.pushes.is_idle for p in self.partners)
        )

    def answer(
        self, method: str, target: str, headers: dict[str, str], raw: bytes
    ) -> tuple[int, Json, dict[str, str]]:
        """One request: HTTP status, envelope, further headers."""
        try:
            return self._answer(method, target, headers, raw)
        except Exception as fault:
            self.settings.say(f"{method} {target}: {fault!r}")
            return 500, envelope(None, self.settings.clock(), status_code=3000), {}

    def tick(self) -> None:
        """Whatever is due: look who is there, tell it, and pass on what is for all."""
        now = self.settings.clock()
        for member in self.members:
            waits = QUIET_FOR if member.is_reachable else AWAY_FOR
            if member.peer.is_registered and now - member.heard_at >= waits:
                member.heard_at = now
                self.relay.is_alive(member)
        self.infos.refresh()
        self.infos.push()
        self.switchboard.tell_copies()

    def _work(self) -> None:
        while not self._stopping.wait(WORK_EVERY_S):
            try:
                self.tick()
            except Exception as fault:
                self.settings.say(repr(fault))

    def _introduce(self, member: Member) -> Json:
        """To 2.2.1 a hub is a role, and names nobody else; to 2.3.0 it names all whom it reaches."""
        business = {"business_details": {"name": self.settings.name}}
        own = {"role": HUB, **self.settings.party, **business}
        if self.settings.version == "2.2.1":
            return {"roles": [own]}
        country, party = self.switchboard.party
        reached = [
            {"role": one.role, "country_code": one.party[0], "party_id": one.party[1], **business}
            for other in self.members
            if other is not member
            for one in other.roles
        ]
        # Roles are required, and a hub that connects nobody yet has none but its own.
        return {"roles": reached or [{**own, "role": "OTHER"}], "hub_party_id": f"{country}{party}"}

    def _on_registered(self, member: Member) -> None:
        self.settings.say(f"Registered with {member.peer.known()['versions_url']}")
        member.heard(self.settings.clock())
        self.infos.refresh()
        self.infos.tell_all(member)

    def _settings_of(self, party: HubParty) -> PartnerSettings:
        own = self.settings
        name = f"{party.country_code}-{party.party_id}"
        return replace(
            own,
            state_file=own.state_file.with_name(f"{own.state_file.stem}-{name}.json"),
            listen=(own.listen[0], 0),
            public_url="",
            country_code=party.country_code,
            party_id=party.party_id,
            name=f"Network {name} behind {own.name}",
            roles=party.roles,
            is_behind_hub=True,
        )
