"""The platforms that a hub connects, and the parties that stand behind each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from simulators.partner.ocpi_format import Json, Party, Refusal
from simulators.partner.other_platform import OtherPlatform, PlatformError
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.registering import Registration
from simulators.partner.state_file import StateFile


class PartyRole(NamedTuple):
    role: str
    party: Party

    @property
    def key(self) -> str:
        return "/".join((self.role, *self.party))


class Member:
    """A platform that is, or may be, registered. `is_reachable` is what came of the last call to it or of it."""

    def __init__(
        self,
        settings: PartnerSettings,
        versions_url: str,
        introduce: Callable[[Member], Json],
        on_registered: Callable[[Member], None],
    ) -> None:
        self.name = settings.state_file.stem
        self.state = StateFile(settings.state_file)
        self.peer = OtherPlatform(settings, self.state)
        self.registration = Registration(
            settings,
            self.state,
            self.peer,
            versions_url,
            lambda: on_registered(self),
            lambda: introduce(self),
        )
        self.is_reachable = True
        self.heard_at = self.rests_until = settings.clock()

    def heard(self, now: datetime) -> None:
        self.is_reachable, self.heard_at = True, now

    @property
    def roles(self) -> list[PartyRole]:
        """Of its parties, in capitals; none as long as it is not registered."""
        if not self.peer.is_registered:
            return []
        return [
            PartyRole(role["role"], (role["country_code"].upper(), role["party_id"].upper()))
            for role in self.peer.known()["roles"]
        ]

    def party_as(self, role: str) -> Party | None:
        """Its first party in a role."""
        return next((one.party for one in self.roles if one.role == role), None)

    def endpoint(self, identifier: str, role: str) -> str:
        """Raises Refusal."""
        try:
            return self.peer.endpoint(identifier.lower(), role)
        except PlatformError:
            raise Refusal(2000, f"the receiver has no {identifier} {role}", 404) from None

    def has(self, identifier: str, role: str) -> bool:
        return self.peer.has(identifier.lower(), role)

    @property
    def origin(self) -> str:
        """Scheme and host of its addresses."""
        parts = urlsplit(str(self.peer.known()["versions_url"]))
        return f"{parts.scheme}://{parts.netloc}"


class Members:
    """A file each beside the hub's own, so that they are known again after a restart."""

    def __init__(
        self,
        settings: PartnerSettings,
        versions_url: str,
        introduce: Callable[[Member], Json],
        on_registered: Callable[[Member], None],
    ) -> None:
        self._settings, self._versions_url = settings, versions_url
        self._introduce, self._on_registered = introduce, on_registered
        known = settings.state_file.parent.glob(f"{settings.state_file.stem}-member-*.json")
        self._all = [self._make(file) for file in sorted(known, key=lambda file: (len(file.name), file.name))]

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._all))

    def add(self) -> Member:
        """One that is to register, or with which the hub will."""
        own = self._settings.state_file
        member = self._make(own.with_name(f"{own.stem}-member-{len(self._all) + 1}.json"))
        self._all.append(member)
        return member

    def caller(self, authorization: str) -> tuple[Member, str]:
        """Whose token it is, and what kind of token (`Registration.caller`). Raises Refusal."""
        for member in self:
            with suppress(Refusal):
                return member, member.registration.caller(authorization)
        raise Refusal(2000, "this token is not known here", 401)

    def of(self, party: Party, role: str = "") -> Member | None:
        """Behind which a party stands, in a role."""
        return next(
            (m for m in self for one in m.roles if one.party == party and role in ("", one.role)), None
        )

    def named(self, name: str) -> Member:
        """Raises Refusal."""
        found = next((member for member in self if member.name == name and member.peer.is_registered), None)
        if found is None:
            raise Refusal(2000, "there is nothing here", 404)
        return found

    def others(self, than: Member, role: str) -> Iterator[tuple[Member, Party]]:
        """All parties in a role behind other platforms."""
        for member in self:
            if member is not than:
                yield from ((member, one.party) for one in member.roles if one.role == role)

    def _make(self, file: Path) -> Member:
        settings = replace(self._settings, state_file=file)
        return Member(settings, self._versions_url, self._introduce, self._on_registered)
