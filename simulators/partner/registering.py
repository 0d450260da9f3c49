"""Registration, from both sides (OCPI 2.3.0, Credentials)."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from simulators.partner.ocpi_format import Json, Refusal, tokens_of
from simulators.partner.other_platform import OtherPlatform, PlatformError, data_of, endpoint_in, send
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.state_file import StateFile

HANDSHAKE_S = 10


class Registration:
    """`on_registered` is called after somebody registered here, or we there. `introduce` says who we are, in our credentials; as
    the settings do where it is not given."""

    def __init__(
        self,
        settings: PartnerSettings,
        state: StateFile,
        peer: OtherPlatform,
        versions_url: str,
        on_registered: Callable[[], None],
        introduce: Callable[[], Json] | None = None,
    ) -> None:
        self._settings, self._state, self._peer = settings, state, peer
        self._versions_url, self._on_registered = versions_url, on_registered
        self._introduce = introduce or (lambda: settings.introduction)
        self._has_ended = threading.Event()

    def invite(self) -> str:
        """A token A with which somebody registers here."""
        # A letter first: what begins with a dash looks like an option where it is given to a command.
        token = f"A{secrets.token_urlsafe(24)}"
        with self._state.changing() as state:
            state.setdefault("invitations", []).append(token)
        return token

    def register(self, versions_url: str, token_a: str) -> None:
        """Register with a platform that has invited us. Raises PlatformError."""
        with self._offering_token() as offered:
            endpoints = self._read_endpoints(versions_url, token_a)
            url = endpoint_in(endpoints, "credentials")
            theirs = data_of(send("POST", url, token_a, self._credentials(offered)))
            with self._state.changing() as state:
                state["invitation_used"] = token_a
                self._keep(state, theirs, endpoints, offered)
        self._on_registered()

    def use_invitation(self, file: Path) -> bool:
        """Register with what stands in a file ({"versions_url", "token_a"}), if it is news. Raises PlatformError.

        So a demo hands over its token A, and a partner whose platform was set up anew registers again by itself.
        """
        try:
            invitation = json.loads(file.read_text())
        except (OSError, ValueError):
            return False
        if self._peer.is_registered and self._state.get("invitation_used") == invitation["token_a"]:
            return False
        self.register(invitation["versions_url"], invitation["token_a"])
        return True

    def announce_address(self) -> bool:
        """Tell the other platform (PUT credentials) when our own address is another than at registration."""
        if not self._peer.is_registered or self._state.get("own_url") == self._versions_url:
            return False
        self.renew()
        return True

    def renew(self) -> None:
        """PUT credentials: new tokens both ways, and each side reads the other's endpoints again. Raises PlatformError."""
        peer = self._peer.known()
        with self._offering_token() as offered:
            endpoints = self._read_endpoints(peer["versions_url"], peer["token_out"])
            url = endpoint_in(endpoints, "credentials")
            theirs = data_of(send("PUT", url, peer["token_out"], self._credentials(offered)))
            with self._state.changing() as state:
                self._keep(state, theirs, endpoints, offered)

    def leave(self) -> None:
        """DELETE credentials. Raises PlatformError."""
        peer = self._peer.known()
        data_of(send("DELETE", endpoint_in(peer["endpoints"], "credentials"), peer["token_out"]))
        self._forget()

    def caller(self, authorization_header: str) -> str:
        """Who asks: "peer", "pending" (the peer by the token it is just being given), or a token A. Raises Refusal."""
        state = self._state.get_all()
        peer = state.get("peer", {})
        for token in tokens_of(authorization_header):
            if token == peer.get("token_in"):
                self._end_overlap(peer)
                return "peer"
            if token == peer.get("token_before"):
                return "peer"
            if token == state.get("pending_token"):
                return "pending"
            if token in state.get("invitations", []):
                return token
        raise Refusal(2000, "this token is not known here", 401)

    def registered_caller(self, caller: str, authorization_header: str) -> str:
        """Who asks for more than versions and credentials; a call by the token that is just being given waits until it is.
        Raises Refusal."""
        if caller == "pending" and self._has_ended.wait(HANDSHAKE_S):
            caller = self.caller(authorization_header)
        if caller != "peer":
            raise Refusal(2000, "this token is for registration only", 401)
        return caller

    def _end_overlap(self, peer: Json) -> None:
        """The token before this one is good until this one is used."""
        if "token_before" in peer:
            with self._state.changing() as state:
                state["peer"].pop("token_before", None)

    def answer(self, method: str, caller: str, body: object) -> Json | None:
        """A request to our credentials endpoint. Raises Refusal."""
        if method == "GET":
            return self._credentials(self._peer.known()["token_in"] if self._peer.is_registered else caller)
        if method == "DELETE" and caller == "peer":
            self._forget()
            return None
        is_first = method == "POST" and caller not in ("peer", "pending")
        if not is_first and not (method == "PUT" and caller == "peer"):
            raise Refusal(2000, "not in this state", 405)
        return self._accept(body, token_a=caller if is_first else "")

    def _accept(self, body: object, token_a: str) -> Json:
        if not isinstance(body, dict) or not {"token", "url", "roles"} <= body.keys():
            raise Refusal(2001, "token, url and roles are required")
        try:
            endpoints = self._read_endpoints(body["url"], body["token"])
        except PlatformError as failure:
            raise Refusal(3001, f"your platform does not answer: {failure}") from failure
        given = secrets.token_urlsafe(24)
        with self._state.changing() as state:
            if token_a:
                state["invitations"].remove(token_a)
            before = {} if token_a else {"token_before": state["peer"]["token_in"]}
            self._keep(state, body, endpoints, given)
            state["peer"] |= before
        self._on_registered()
        return self._credentials(given)

    def _keep(self, state: Json, theirs: Json, endpoints: list[Json], token_in: str) -> None:
        state["peer"] = {
            "token_in": token_in,
            "token_out": theirs["token"],
            "versions_url": theirs["url"],
            "roles": theirs["roles"],
            "hub_party_id": theirs.get("hub_party_id", ""),
            "endpoints": endpoints,
        }
        state["own_url"] = self._versions_url

    def _forget(self) -> None:
        with self._state.changing() as state:
            del state["peer"]
            state.pop("hub_clients", None)

    @contextmanager
    def _offering_token(self) -> Iterator[str]:
        """A new token for the other platform, which it may use at once, while it looks up our endpoints."""
        offered = secrets.token_urlsafe(24)
        self._has_ended.clear()
        with self._state.changing() as state:
            state["pending_token"] = offered
        try:
            yield offered
        finally:
            self._has_ended.set()
            with self._state.changing() as state:
                state.pop("pending_token", None)

    def _credentials(self, token: str) -> Json:
        return {"token": token, "url": self._versions_url, **self._introduce()}

    def _read_endpoints(self, versions_url: str, token: str) -> list[Json]:
        """The endpoints of the other side in our version. Raises PlatformError."""
        spoken = self._settings.version
        versions = data_of(send("GET", versions_url, token))
        url = next((v["url"] for v in versions if v["version"] == spoken), None)
        if url is None:
            raise PlatformError(f"{versions_url} does not offer {spoken}")
        endpoints: list[Json] = data_of(send("GET", url, token))["endpoints"]
        return endpoints
