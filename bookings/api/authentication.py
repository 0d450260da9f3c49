"""Who asks: the organisation whose token a request carries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest
from ninja.security import HttpBearer

from bookings.actors import Actor
from bookings.api.problems import ApiRefusal
from depots.models import ApiToken, Organisation
from depots.operations.api_tokens import MINUTE, count_api_use, find_api_token

LONGEST_TOKEN = 200


@dataclass(frozen=True)
class Caller:
    """An organisation's own system, and when it asks. What it does is done as its fleet's dispatchers do it."""

    token: ApiToken
    now: datetime

    @property
    def organisation(self) -> Organisation:
        return self.token.organisation

    @property
    def actor(self) -> Actor:
        return Actor.dispatcher(f"API: {self.token.name}")

    @property
    def depot_actor(self) -> Actor:
        """At a depot that its organisation runs."""
        return Actor.manager(f"API: {self.token.name}")


class BearerToken(HttpBearer):
    """Ninja's part, for the OpenAPI document: who asks is known by then (guard.py)."""

    def __call__(self, request: HttpRequest) -> Caller | None:
        return getattr(request, "auth", None)

    def authenticate(self, request: HttpRequest, token: str) -> Caller | None:
        raise NotImplementedError


def caller_of(request: HttpRequest) -> Caller:
    caller = getattr(request, "auth", None)
    assert isinstance(caller, Caller)  # guard.py let it in
    return caller


def recognise(request: HttpRequest, *, now: datetime) -> Caller:
    """Raises ApiRefusal: 401 without a valid token, 429 beyond the rate."""
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > LONGEST_TOKEN or not token.isascii():
        raise ApiRefusal(401)
    found = find_api_token(token, now=now)
    if found is None:
        raise ApiRefusal(401)
    _check_rate(found, now=now)
    return Caller(found, now)


def _check_rate(token: ApiToken, *, now: datetime) -> None:
    """At most so many requests a minute of the clock, of all tokens of an organisation, over all our processes."""
    allowed: int = settings.BERTH_API_PER_MINUTE
    if not allowed or count_api_use(token.organisation_id, now=now) <= allowed:
        return
    over_at = now.replace(second=0, microsecond=0) + MINUTE
    wait = max(1, int((over_at - now).total_seconds()) + 1)
    raise ApiRefusal(429, f"At most {allowed} requests a minute.", headers={"Retry-After": str(wait)})
