"""Where each module of 2.3.0 answers, below /ocpi; `versions.mapping.endpoints` says the same to partners."""

from ninja import Router

from roaming.ocpi.auth import CallerAuth, registered
from roaming.ocpi.dialect import Dialect
from roaming.ocpi.v2_3_0.bookings import receiver as bookings_receiver
from roaming.ocpi.v2_3_0.bookings import sender as bookings_sender
from roaming.ocpi.v2_3_0.cdrs import receiver as cdrs_receiver
from roaming.ocpi.v2_3_0.cdrs import sender as cdrs_sender
from roaming.ocpi.v2_3_0.charging_profiles import receiver as charging_profiles_receiver
from roaming.ocpi.v2_3_0.charging_profiles import sender as charging_profiles_sender
from roaming.ocpi.v2_3_0.commands import receiver as commands_receiver
from roaming.ocpi.v2_3_0.commands import sender as commands_sender
from roaming.ocpi.v2_3_0.credentials import endpoint as credentials
from roaming.ocpi.v2_3_0.hubclientinfo import receiver as hubclientinfo
from roaming.ocpi.v2_3_0.invoicereconciliation import endpoint as invoicereconciliation
from roaming.ocpi.v2_3_0.locations import receiver as locations_receiver
from roaming.ocpi.v2_3_0.locations import sender as locations_sender
from roaming.ocpi.v2_3_0.sessions import receiver as sessions_receiver
from roaming.ocpi.v2_3_0.sessions import sender as sessions_sender
from roaming.ocpi.v2_3_0.tariffs import receiver as tariffs_receiver
from roaming.ocpi.v2_3_0.tariffs import sender as tariffs_sender
from roaming.ocpi.v2_3_0.tokens import receiver as tokens_receiver
from roaming.ocpi.v2_3_0.tokens import sender as tokens_sender


def routers(
    dialect: Dialect, *, bookings_auth: CallerAuth = registered, invoices_auth: CallerAuth = registered
) -> dict[str, Router]:
    cpo, emsp = f"/cpo/{dialect.VERSION}", f"/emsp/{dialect.VERSION}"
    return {
        f"/{dialect.VERSION}/credentials": credentials.routes.router(dialect),
        f"/{dialect.VERSION}/hubclientinfo": hubclientinfo.routes.router(dialect),
        f"/{dialect.VERSION}/invoicereconciliation": invoicereconciliation.routes.router(
            dialect, invoices_auth
        ),
        f"{cpo}/locations": locations_sender.routes.router(dialect),
        f"{emsp}/locations": locations_receiver.routes.router(dialect),
        f"{cpo}/tokens": tokens_receiver.routes.router(dialect),
        f"{emsp}/tokens": tokens_sender.routes.router(dialect),
        f"{cpo}/sessions": sessions_sender.routes.router(dialect),
        f"{emsp}/sessions": sessions_receiver.routes.router(dialect),
        f"{cpo}/cdrs": cdrs_sender.routes.router(dialect),
        f"{emsp}/cdrs": cdrs_receiver.routes.router(dialect),
        f"{cpo}/tariffs": tariffs_sender.routes.router(dialect),
        f"{emsp}/tariffs": tariffs_receiver.routes.router(dialect),
        f"{emsp}/commands": commands_sender.routes.router(dialect),
        f"{cpo}/commands": commands_receiver.routes.router(dialect),
        f"{emsp}/chargingprofiles": charging_profiles_sender.routes.router(dialect),
        f"{cpo}/chargingprofiles": charging_profiles_receiver.routes.router(dialect),
        f"{cpo}/bookings": bookings_sender.routes.router(dialect, bookings_auth),
        f"{emsp}/bookings": bookings_receiver.routes.router(dialect, bookings_auth),
    }
