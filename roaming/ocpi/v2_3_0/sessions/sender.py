"""Sessions, Sender: what a partner's customers charge at our depots (OCPI 2.3.0 mod_sessions, Sender Interface)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from roaming import access, guest_sessions
from roaming.models import GuestSession
from roaming.ocpi.auth import caller_of, own_party
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError, ok, read_object
from roaming.ocpi.paging import Page
from roaming.ocpi.routes import Routes
from roaming.ocpi.style import style_of
from roaming.ocpi.v2_3_0.sessions.reading import read_preferences
from roaming.ocpi.v2_3_0.sessions.schemas import ChargingPreferencesResponse, ProfileType
from roaming.published_sessions import is_over, published_sessions

routes = Routes()
# Every vehicle is given what there is for it, as soon as there is: nothing here charges it later because that is cheaper.
OFFERED = {ProfileType.FAST, ProfileType.REGULAR}


@routes.get()
def sessions(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    """`date_from` is required, by when they changed last."""
    caller, page, now = caller_of(request), Page.of(request), timezone.now()
    if page.date_from is None:
        raise RefusalError(Code.INVALID, "date_from: is required for a list of sessions")
    rows = access.guest_sessions(caller.partner, party=caller.from_party, operator=own_party(caller, "CPO"))
    style = style_of(caller.partner, dialect.VERSION)

    def write(found: Sequence[GuestSession]) -> Sequence[dict[str, Any]]:
        return [dialect.sessions.write(each, style) for each in published_sessions(found, now=now)]

    return page.answer(page.changed_in(rows, F("changed_at")), write)


@routes.put("/{session_id}/charging_preferences")
def charging_preferences(request: HttpRequest, dialect: Dialect, session_id: str) -> HttpResponse:
    """What the driver prefers is kept with the session; the answer says what it can have of it."""
    caller = caller_of(request)
    wished = read_preferences(read_object(request)).value
    rows = access.guest_sessions(caller.partner, party=caller.from_party)
    found = rows.filter(code=session_id.upper()).first()
    if found is None:
        raise RefusalError(Code.CLIENT_ERROR, "There is no such session of yours.", http=404)
    if is_over(found):
        return ok(ChargingPreferencesResponse.NOT_POSSIBLE.value)
    if wished.profile_type not in OFFERED:
        return ok(ChargingPreferencesResponse.PROFILE_TYPE_NOT_SUPPORTED.value)
    guest_sessions.prefer(found, wished.wire())
    return ok(ChargingPreferencesResponse.ACCEPTED.value)
