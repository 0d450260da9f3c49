"""ChargingProfiles, Receiver: what a partner has a session of its customer take at most (OCPI 2.3.0 mod_charging_profiles)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.http import HttpRequest, HttpResponse

from roaming import deviations
from roaming.commands import limits, received
from roaming.models import ReceivedCommand
from roaming.ocpi.auth import partner_of
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError, ok, read_object
from roaming.ocpi.routes import Routes
from roaming.ocpi.v2_3_0.charging_profiles.mapping import response_out, wish_in
from roaming.ocpi.v2_3_0.charging_profiles.reading import read_set
from roaming.ocpi.v2_3_0.charging_profiles.schemas import ChargingProfileResponseType
from roaming.ocpi.v2_3_0.commands.receiver import asker_of

routes = Routes()
MOST_DIGITS = 9


@routes.put("/{session_id}")
def set_profile(request: HttpRequest, dialect: Dialect, session_id: str) -> HttpResponse:
    raw = read_object(request)
    told = read_set(raw)
    deviations.count(partner_of(request), told.deviations)
    asker = asker_of(request, told.value.response_url, raw)
    profile = told.value.charging_profile
    return _answered(lambda: limits.limit(asker, session_id, lambda session: wish_in(profile, session)))


@routes.delete("/{session_id}")
def clear_profile(request: HttpRequest, dialect: Dialect, session_id: str) -> HttpResponse:
    asker = asker_of(request, _query(request, "response_url"), {})
    return _answered(lambda: limits.lift(asker, session_id))


@routes.get("/{session_id}")
def active_profile(request: HttpRequest, dialect: Dialect, session_id: str) -> HttpResponse:
    asker, lasts = asker_of(request, _query(request, "response_url"), {}), _duration(request)
    return _answered(lambda: limits.show(asker, session_id, lasts))


def _query(request: HttpRequest, name: str) -> str:
    """Raises RefusalError."""
    value = request.GET.get(name, "").strip()
    if not value:
        raise RefusalError(Code.INVALID, f"{name}: is required")
    return value


def _duration(request: HttpRequest) -> timedelta:
    """Raises RefusalError."""
    told = _query(request, "duration")
    if not (told.isascii() and told.isdigit() and len(told) <= MOST_DIGITS and int(told)):
        raise RefusalError(Code.INVALID, "duration: must be a number of seconds")
    return timedelta(seconds=int(told))


def _answered(carry_out: Callable[[], ReceivedCommand]) -> HttpResponse:
    """What is refused is said in the response alone, whose words OCPI has no place for but the envelope's."""
    timeout_s, words = int(received.TIMEOUT.total_seconds()), ""
    said = ChargingProfileResponseType.ACCEPTED
    try:
        carry_out()
    except received.SessionUnknown as unknown:
        said, words = ChargingProfileResponseType.UNKNOWN_SESSION, str(unknown)
    except received.AskedTooOften as often:
        said, words = ChargingProfileResponseType.TOO_OFTEN, str(often)
    except received.CommandRefused as refusal:
        is_no = refusal.is_supported
        said = ChargingProfileResponseType.REJECTED if is_no else ChargingProfileResponseType.NOT_SUPPORTED
        words = str(refusal)
    return ok(response_out(said, timeout_s), message=words)
