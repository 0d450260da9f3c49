"""What becomes of a call to a partner that did not get its yes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roaming.ocpi.client import Peer


class CallFailed(Exception):
    """The partner did not say yes. `str()` is a sentence for the operator, `public` one for whoever named the address.

    The latter says nothing of where a name leads, or of what is or is not there: we may see more than who asks.
    """

    public: str = ""
    # A hub's word about one party that it cannot reach: it says nothing about the hub, nor about the others behind it.
    is_behind_hub: bool = False

    @property
    def may_have_arrived(self) -> bool:
        """Whether the partner may have done what it was asked, whatever it said."""
        return True

    @property
    def is_silence(self) -> bool:
        """Whether it counts against the partner as a whole."""
        return not self.is_behind_hub

    def strike_out(self, peer: Peer) -> None:
        """A partner may quote the token it was called with; that is for nobody to read."""
        self.args = tuple(peer.without_token(str(said)) for said in self.args)
        self.public = peer.without_token(self.public)


class Unreachable(CallFailed):
    """No answer we could read. `maybe_received`: the request may have been carried out all the same."""

    def __init__(
        self, reason: str, *, maybe_received: bool = True, public: str = "", is_behind_hub: bool = False
    ) -> None:
        super().__init__(reason)
        self.maybe_received, self.is_behind_hub = maybe_received, is_behind_hub
        self.public = public or reason

    @property
    def may_have_arrived(self) -> bool:
        return self.maybe_received


class Refused(CallFailed):
    """A readable no: an HTTP error, or OCPI status 2xxx to 4xxx. `excerpt` is of a body that is no envelope."""

    def __init__(
        self, http_status: int, status_code: int | None, message: str, data: Any = None, *, excerpt: str = ""
    ) -> None:
        said = f"{status_code}" if status_code is not None else f"HTTP {http_status}"
        super().__init__(f"{said}: {message or excerpt or 'without a reason'}"[:280])
        self.public = str(self)
        self.http_status, self.status_code, self.message, self.data = http_status, status_code, message, data
        # It knows no such party (4001), had no answer of it in time (4002), or has no connection to it (4003).
        self.is_behind_hub = status_code in (4001, 4002, 4003)

    @property
    def is_silence(self) -> bool:
        return super().is_silence and self.is_their_fault

    @property
    def may_have_arrived(self) -> bool:
        return not self.surely_undelivered

    @property
    def surely_undelivered(self) -> bool:
        """A hub says that nobody has got it. After 4002 somebody may have."""
        return self.status_code in (4001, 4003)

    @property
    def is_their_fault(self) -> bool:
        """Not about what we sent: a server error, a hub's trouble, or too many requests."""
        if self.status_code is not None and self.status_code >= 3000:
            return True
        return self.http_status >= 500 or self.http_status in (408, 425, 429)
