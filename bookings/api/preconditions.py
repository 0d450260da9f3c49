"""What a request says that it has seen (RFC 9110, section 13.1.1)."""

from __future__ import annotations

import re

from django.http import HttpRequest
from pydantic import Field

from bookings.api.fields import Body
from bookings.api.problems import ApiRefusal

_TAG = re.compile(r'\s*(?:W/)?"([0-9]{1,18})"\s*', re.ASCII)


class SeenOffer(Body):
    """What an answer to an offer says of it where it sends no If-Match."""

    version: int | None = Field(
        None,
        ge=1,
        lt=10**18,
        description="of the offer that is meant; refused with 412 where it is another by now",
    )


def seen_version(request: HttpRequest, version: int, *, of: str) -> int | None:
    """The version that If-Match names, None where it names any, or is not there; `version` is the one there is, `of` what. Raises
    ApiRefusal where it is another, whatever is wrong with the rest; under the locks it is looked at again."""
    given = request.headers.get("If-Match", "").strip()
    if given in {"", "*"}:
        return None
    named = _TAG.fullmatch(given)
    if named is None:
        raise ApiRefusal(412, f"If-Match is no version of this {of}.", code="changed_meanwhile")
    return _same(int(named[1]), version, of)


def seen_offer(request: HttpRequest, body: SeenOffer | None, version: int) -> int | None:
    """The same of an offer that is answered, by If-Match or else by the body."""
    seen = seen_version(request, version, of="offer")
    if seen is None and body is not None and body.version is not None:
        return _same(body.version, version, "offer")
    return seen


def _same(seen: int, version: int, of: str) -> int:
    if seen != version:
        raise ApiRefusal(412, f"The {of} has changed meanwhile.", code="changed_meanwhile")
    return seen
