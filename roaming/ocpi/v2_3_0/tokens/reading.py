"""What partners really send of Tokens, brought into the shape of 2.3.0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from roaming.ocpi.shapes import Shape, read_shaped, shaped_as
from roaming.ocpi.v2_3_0.tokens.schemas import AuthorizationInfo, LocationReferences, Token
from roaming.ocpi.wire_object import Notes, Read

TOKEN = Shape("token", renamed={"auth_id": "contract_id"})
LOCATION = Shape("location_references", lists=frozenset({"evse_uids"}))
INFO = Shape("authorization_info", inside={"token": TOKEN, "location": LOCATION})


def read_token(raw: Any) -> Read[Token]:
    notes = Notes()
    shaped = shaped_as(raw, TOKEN, notes)
    _complete(shaped, notes)
    return read_shaped(Token, shaped, notes)


def read_authorization(raw: Any) -> Read[AuthorizationInfo]:
    """The token it names may be missing or broken: which one is meant, whoever asked knows."""
    notes = Notes()
    shaped = shaped_as(raw, INFO, notes)
    if isinstance(shaped, dict):
        _complete(shaped.get("token"), notes)
    return read_shaped(AuthorizationInfo, shaped, notes)


def read_place(raw: Any) -> Read[LocationReferences]:
    notes = Notes()
    return read_shaped(LocationReferences, shaped_as(raw, LOCATION, notes), notes)


def _complete(token: Any, notes: Notes) -> None:
    """What says nothing about whether the token may charge can be missing; what it may cannot."""
    if not isinstance(token, dict):
        return
    for name, instead in (("contract_id", token.get("uid")), ("issuer", token.get("party_id"))):
        if name not in token and instead is not None:
            notes.add(f"token.{name}_missing")
            token[name] = instead


# Most tokens of a list of thousands are just as the specification has them, and are checked by pydantic alone: what passes is
# what `read_token` would give, without a deviation (tests hold the two together).
_Ascii = r"^[\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*$"
_Id2 = Annotated[str, StringConstraints(min_length=1, max_length=2, pattern=_Ascii)]
_Id3 = Annotated[str, StringConstraints(min_length=1, max_length=3, pattern=_Ascii)]
_Id36 = Annotated[str, StringConstraints(min_length=1, max_length=36, pattern=_Ascii)]
_Printable = Annotated[
    str, StringConstraints(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$")
]
_Utc = Annotated[str, StringConstraints(pattern=r"^20\d\d-\d\d-\d\dT\d\d:\d\d:[0-5]\dZ$")]


class _PlainToken(TypedDict):
    __pydantic_config__ = ConfigDict(strict=True, extra="ignore")  # type: ignore[misc]

    country_code: _Id2
    party_id: _Id3
    uid: _Id36
    type: Literal["AD_HOC_USER", "APP_USER", "EMAID", "OTHER", "RFID"]
    contract_id: _Id36
    visual_number: NotRequired[_Printable]
    issuer: _Printable
    group_id: NotRequired[_Id36]
    valid: bool
    whitelist: Literal["ALWAYS", "ALLOWED", "ALLOWED_OFFLINE", "NEVER"]
    last_updated: _Utc


_ALL_PLAIN, _PLAIN = TypeAdapter(list[_PlainToken]), TypeAdapter(_PlainToken)


def plain_of(raws: Sequence[Any]) -> list[bool]:
    """Which of these are to the letter."""
    try:
        _ALL_PLAIN.validate_python(raws)
    except ValidationError:
        return [_is_plain(raw) for raw in raws]
    return [True] * len(raws)


def _is_plain(raw: Any) -> bool:
    try:
        _PLAIN.validate_python(raw)
    except ValidationError:
        return False
    return True
