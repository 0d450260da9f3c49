"""The credentials endpoint: how a partner registers, renews and leaves (OCPI 2.3.0 credentials)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from roaming import deviations, party_roles, registering_places, registration
from roaming.ocpi.auth import Caller, anybody_known, caller_of
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError, ok, read_object
from roaming.ocpi.handshake import CannotAgree
from roaming.ocpi.party_credentials import PartyCredentials
from roaming.ocpi.routes import Routes

routes = Routes(anybody_known)


@routes.get()
def show(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    with _refusals(caller_of(request)):
        return ok(
            dialect.registration.write_credentials(registration.credentials_of(caller_of(request).token))
        )


@routes.post()
def register(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    """The first contact, with token A. Only a token A: whoever is registered has to PUT."""
    caller = caller_of(request)
    if caller.token.kind != caller.token.Kind.REGISTRATION:
        raise _out_of_turn(caller, "You are registered already; use PUT.")
    return _agree(caller, request, dialect, registration.register)


@routes.put()
def renew(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    """New token, new endpoints, or another version: whichever it is, everything is read again."""
    caller = caller_of(request)
    _require_registered(caller)
    return _agree(caller, request, dialect, registration.renew)


@routes.delete()
def leave(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    caller = caller_of(request)
    _require_registered(caller)
    with _refusals(caller):
        registration.unregister(partner=caller.partner, now=timezone.now())
    return ok()


def _agree(
    caller: Caller, request: HttpRequest, dialect: Dialect, agree: Callable[..., PartyCredentials]
) -> HttpResponse:
    reading = dialect.registration.read_credentials(read_object(request))
    with _one_at_a_time(caller), _refusals(caller):
        answer = agree(
            partner=caller.partner, credentials=reading.value, version=dialect.VERSION, now=timezone.now()
        )
    deviations.count(caller.partner, reading.deviations)
    return ok(dialect.registration.write_credentials(answer))


@contextmanager
def _one_at_a_time(caller: Caller) -> Iterator[None]:
    try:
        with registering_places.taken(caller.partner.pk):
            yield
    except registering_places.UnderWay as error:
        raise _busy(caller) from error
    except registering_places.AllTaken as error:
        message = "Others are registering; try again in a moment."
        raise RefusalError(Code.CLIENT_ERROR, message, http=429, headers={"Retry-After": "5"}) from error


def _busy(caller: Caller) -> RefusalError:
    """Another request of the same partner is being carried out: of several registrations one counts."""
    if not caller.is_registered:
        return _out_of_turn(caller, "Another registration of yours is under way.")
    message = "Another change of your registration is under way."
    return RefusalError(Code.CLIENT_ERROR, message, http=429, headers={"Retry-After": "5"})


def _out_of_turn(caller: Caller, message: str) -> RefusalError:
    allowed = "GET, HEAD, PUT, DELETE" if caller.is_registered else "GET, HEAD, POST"
    return RefusalError(Code.CLIENT_ERROR, message, http=405, headers={"Allow": allowed})


def _require_registered(caller: Caller) -> None:
    if not caller.is_registered:
        raise _out_of_turn(caller, "You are not registered; use POST.")


@contextmanager
def _refusals(caller: Caller) -> Iterator[None]:
    try:
        yield
    except (registration.AlreadyRegistered, registration.NotRegistered) as error:
        raise _out_of_turn(caller, str(error)) from error
    except party_roles.WrongParty as error:
        raise RefusalError(Code.INVALID, str(error)) from error
    except party_roles.RegistrationError as error:
        raise RefusalError(Code.SERVER_ERROR, str(error)) from error
    except CannotAgree as error:
        raise RefusalError(Code(error.status_code), error.public) from error
