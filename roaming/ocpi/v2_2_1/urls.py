"""Where each module of 2.2.1 answers, below /ocpi: as in 2.3.0, what 2.2.1 has not only to those who agreed to it."""

from django.http import HttpRequest
from ninja import Router

from roaming.ocpi.auth import Caller, CallerAuth
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.envelope import Code, RefusalError
from roaming.ocpi.v2_3_0 import urls as v2_3_0
from roaming.switches import switch


class AgreedModule(CallerAuth):
    """Lets in who is registered and has agreed to a module, by a switch; to others there is nothing at its addresses."""

    def __init__(self, switch_name: str) -> None:
        super().__init__()
        self._switch_name = switch_name

    def __call__(self, request: HttpRequest) -> Caller | None:
        caller = super().__call__(request)
        if caller is not None and not switch(caller.partner, self._switch_name):
            raise RefusalError(Code.CLIENT_ERROR, "There is nothing at this address.", http=404)
        return caller


def routers(dialect: Dialect) -> dict[str, Router]:
    return v2_3_0.routers(
        dialect,
        bookings_auth=AgreedModule("bookings_under_2_2_1"),
        invoices_auth=AgreedModule("invoice_records_under_2_2_1"),
    )
