"""What a request says that it has seen (RFC 9110, section 13.1.1)."""

from __future__ import annotations

import re

from django.http import HttpRequest

from bookings.api.fields import whole_number
from bookings.api.problems import ApiRefusal

_TAG = re.compile(r'\s*(?:W/)?"([^"]*)"\s*')


def seen_version(request: HttpRequest, version: int, *, of: str) -> int | None:
    """The version that If-Match names, None where it names any, or is not there; `version` is the one there is, `of` what. Raises
    ApiRefusal where it is another, whatever is wrong with the rest; under the locks it is looked at again."""
    given = request.headers.get("If-Match", "").strip()
    if given in {"", "*"}:
        return None
    named = _TAG.fullmatch(given)
    seen = whole_number(named[1]) if named else None
    if seen is None:
        raise ApiRefusal(412, f"If-Match is no version of this {of}.", code="changed_meanwhile")
    if seen != version:
        raise ApiRefusal(412, f"The {of} has changed meanwhile.", code="changed_meanwhile")
    return seen
