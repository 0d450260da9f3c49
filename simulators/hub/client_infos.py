"""Who is behind the hub and can be reached: told to all it connects, and listed (OCPI mod_hub_client_info)."""

from __future__ import annotations

from datetime import timedelta
from threading import Lock

from simulators.hub.members import Member, Members, PartyRole
from simulators.partner.hub_clients import MODULE, STATUSES
from simulators.partner.ocpi_format import Json, Party, write_time
from simulators.partner.other_platform import PlatformError, data_of, send
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.state_file import StateFile

REST = timedelta(seconds=5)


class ClientInfos:
    """What a person has said of a party holds; else one is there as long as its platform answers."""

    def __init__(self, settings: PartnerSettings, state: StateFile, members: Members) -> None:
        self._settings, self._state, self._members = settings, state, members
        self._due: set[tuple[str, str]] = set()  # name of a member, key of an info
        self._lock = Lock()

    def all(self) -> dict[str, Json]:
        """By ROLE/CC/PID."""
        found: dict[str, Json] = self._state.get("clients", {})
        return found

    def status(self, party: Party) -> str:
        """Of one that is known; a party in several roles is reached or not in all."""
        found = (one["status"] for one in self.all().values() if _party(one) == party)
        return str(next(found, "PLANNED"))

    def listed(self, asker: Member) -> list[Json]:
        """Its own parties are no news to it."""
        own = {one.key for one in asker.roles}
        return [info for key, info in self.all().items() if key not in own]

    def set(self, party: Party, status: str, role: str = "") -> None:
        """Say it of a party, in the roles it has or in this one; an empty status says no more. Raises ValueError."""
        if status and status not in STATUSES:
            raise ValueError(f"{status} is no status: {', '.join(STATUSES)}")
        known = [one for member in self._members for one in member.roles if one.party == party]
        with self._state.changing() as state:
            said = state.setdefault("said", {})
            for one in [PartyRole(role, party)] if role else known:
                said[one.key] = status
        self.refresh()

    def refresh(self) -> None:
        """Work out how each stands, and remember to tell what is new; who has left is suspended, for infos do not go."""
        now = write_time(self._settings.clock())
        with self._lock, self._state.changing() as state:
            said = {key: status for key, status in state.get("said", {}).items() if status}
            told = state.setdefault("clients", {})
            there = {one.key: m.is_reachable for m in self._members for one in m.roles}
            for key in [*there, *(key for key in {**told, **said} if key not in there)]:
                seen = ("CONNECTED" if there[key] else "OFFLINE") if key in there else "SUSPENDED"
                status = said.get(key) or seen
                if told.get(key, {}).get("status") != status:
                    told[key] = _info(key, status, now)
                    self._settings.say(f"{key}: {status}")
                    self._due |= {(member.name, key) for member in self._members}

    def tell_all(self, member: Member) -> None:
        """A member has registered."""
        with self._lock:
            self._due |= {(member.name, key) for key in self.all()}

    @property
    def is_idle(self) -> bool:
        return not self._due

    def push(self) -> None:
        """To each member what is new of others. What one does not take stays due."""
        now = self._settings.clock()
        for member in self._members:
            if not member.is_reachable or now < member.rests_until:
                continue
            with self._lock:
                due = {key for name, key in self._due if name == member.name}
            for key in sorted(due):
                if not self._push(member, key):
                    break

    def _push(self, member: Member, key: str) -> bool:
        """Whether it need not be told again."""
        with self._lock:
            self._due.discard((member.name, key))
        info = self.all()[key]
        is_own = any(one.key == key for one in member.roles)
        if is_own or not member.peer.is_registered or not member.has(MODULE, "RECEIVER"):
            return True
        url = f"{member.peer.endpoint(MODULE, 'RECEIVER')}/{info['country_code']}/{info['party_id']}"
        try:
            data_of(send("PUT", url, member.peer.known()["token_out"], info))
        except PlatformError as failure:
            self._settings.say(str(failure))
            member.rests_until = self._settings.clock() + REST
            with self._lock:
                self._due.add((member.name, key))
            return False
        return True


def _info(key: str, status: str, now: str) -> Json:
    role, country, party = key.split("/")
    return {
        "country_code": country, "party_id": party, "role": role, "status": status, "last_updated": now,
    }  # fmt: skip


def _party(info: Json) -> Party:
    return info["country_code"], info["party_id"]
