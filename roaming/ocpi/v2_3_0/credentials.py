"""The credentials endpoint: how a partner registers, renews and leaves (ocpi.md §1.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router

from roaming import registration
from roaming.ocpi.auth import Caller, anybody_known, caller_of
from roaming.ocpi.envelope import Code, RefusalError, ok, read_object
from roaming.ocpi.handshake import CannotAgree
from roaming.ocpi.v2_3_0.schemas import Credentials, read_credentials

VERSION = "2.3.0"
router = Router(auth=anybody_known)


@router.get("")
def show(request: HttpRequest) -> HttpResponse:
    with _refusals():
        return ok(registration.current_credentials(caller_of(request).partner))


@router.post("")
def register(request: HttpRequest) -> HttpResponse:
    """The first contact, with token A. Only a token A: whoever is registered has to PUT."""
    caller = caller_of(request)
    if caller.token.kind != caller.token.Kind.REGISTRATION:
        raise RefusalError(Code.CLIENT_ERROR, "You are registered already; use PUT.", http=405)
    return _agree(caller, request, registration.register)


@router.put("")
def renew(request: HttpRequest) -> HttpResponse:
    """New token, new endpoints, or another version: whichever it is, everything is read again."""
    caller = caller_of(request)
    _require_registered(caller)
    return _agree(caller, request, registration.renew)


@router.delete("")
def leave(request: HttpRequest) -> HttpResponse:
    caller = caller_of(request)
    _require_registered(caller)
    with _refusals():
        registration.unregister(partner=caller.partner, now=timezone.now())
    return ok()


def _agree(caller: Caller, request: HttpRequest, agree: Callable[..., Credentials]) -> HttpResponse:
    theirs = read_credentials(read_object(request)).value
    with _refusals():
        ours = agree(partner=caller.partner, credentials=theirs, version=VERSION, now=timezone.now())
    return ok(ours)


def _require_registered(caller: Caller) -> None:
    if not caller.is_registered:
        raise RefusalError(Code.CLIENT_ERROR, "You are not registered; use POST.", http=405)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (registration.AlreadyRegistered, registration.NotRegistered) as error:
        raise RefusalError(Code.CLIENT_ERROR, str(error), http=405) from error
    except registration.WrongParty as error:
        raise RefusalError(Code.INVALID, str(error)) from error
    except registration.RegistrationError as error:
        raise RefusalError(Code.SERVER_ERROR, str(error)) from error
    except CannotAgree as error:
        raise RefusalError(Code(error.status_code), str(error)) from error
