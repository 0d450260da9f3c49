"""What drivers identify with: partners' at our depots, ours at theirs, and who is asked whether one may charge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from roaming.mirror.values import ToldAuthorization, ToldToken
from roaming.models import Partner
from roaming.ocpi.wire_object import Read, UnreadableError
from roaming.published_tokens import AskedOwner, PublishedToken, TokenPlace


class Tokens(Protocol):
    # We are the eMSP

    def url(self, partner: Partner, published: PublishedToken, /) -> str:
        """Where a partner takes a token of ours; empty when it takes none."""

    def write(self, published: PublishedToken, /) -> dict[str, Any]: ...

    def read_place(self, raw: Any, /) -> Read[TokenPlace]:
        """Where a partner asks whether a token may charge."""

    def write_authorization(self, answer: AskedOwner, /) -> dict[str, Any]: ...

    # We are the CPO

    def list_url(self, partner: Partner, /) -> str:
        """The list of a partner's tokens; empty when it has none."""

    def authorize_url(self, partner: Partner, uid: str, kind: str, /) -> str:
        """Where a partner is asked whether a token may charge; empty when it is not to be asked."""

    def write_place(self, place: TokenPlace, /) -> dict[str, Any]: ...

    def read(self, raw: Any, /) -> Read[ToldToken]: ...

    def read_all(self, raws: Sequence[Any], /) -> list[Read[ToldToken] | UnreadableError]:
        """Many of a list at once, each by itself: one that cannot be read is its error."""

    def read_authorization(self, raw: Any, /) -> Read[ToldAuthorization]: ...
