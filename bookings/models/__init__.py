"""The promise to a driver: what is offered on which terms, who booked it, and what it occupies."""

from bookings.models.access_rules import AccessRule
from bookings.models.agreements import AgreementEvent, AgreementProposal
from bookings.models.bank import BankOrder, BankOrderLine
from bookings.models.booking_history import BookingEvent, BookingRequest
from bookings.models.booking_states import (
    INTERRUPTED_WHY,
    LEAD_MINUTES,
    LIVE,
    BookingStatus,
    Enforcement,
)
from bookings.models.booking_tokens import BookingToken
from bookings.models.bookings import Booking, BookingSession
from bookings.models.cancel_reasons import CancelReason
from bookings.models.cdrs import ChargeDetailRecord, Dispute
from bookings.models.closure_acts import ClosureAct, ClosureStep
from bookings.models.enforcement_words import ENFORCEMENT_WHY
from bookings.models.fleet import GROUP, OwnerCheck, Token, Trailer, Vehicle
from bookings.models.incoming import IncomingInvoice, InvoiceReconciliationRecord
from bookings.models.invoices import (
    Invoice,
    InvoicedCdr,
    InvoiceFile,
    NumberSequence,
    Payment,
    PaymentReturn,
    PaymentTerms,
    Reminder,
)
from bookings.models.keeping import KeptEvse, ReserveTest
from bookings.models.kept_answers import KeptAnswer
from bookings.models.occupancy import Claim, Closure, Occupancy
from bookings.models.offers import BookingOption, CalendarMark, OfferedSlot, TermsOverride
from bookings.models.owner_answers import OwnerAnswer
from bookings.models.partner_commands import PartnerCommand
from bookings.models.payments import BookingPayment, PrepaidBalance, PrepaidEntry
from bookings.models.reconciliation import AcceptedFinding, PriceCheck
from bookings.models.remote_sessions import RemoteSession, SessionStatus
from bookings.models.scheduling import ScheduledBilling, SchedulerTick
from bookings.models.series import BookingSeries
from bookings.models.session_limits import SessionLimit
from bookings.models.smart_charging import ChargingProfile, DepotPower, EvsePower, ExternalLimit, PowerMark
from bookings.models.tariffs import Tariff, TariffBinding, TariffVersion
from bookings.models.telling import (
    CalendarFeed,
    FeedEvent,
    InboxMessage,
    NotificationChoice,
    Occurrence,
    OutgoingMail,
    Reader,
    TellingCursor,
    UntoldEvent,
    Webhook,
    WebhookDelivery,
)
from bookings.models.trips import Trip
from bookings.models.vehicle_states import VehicleState
from bookings.models.waitlist import WaitlistEntry, WaitlistMark

__all__ = [
    "ENFORCEMENT_WHY",
    "GROUP",
    "INTERRUPTED_WHY",
    "LEAD_MINUTES",
    "LIVE",
    "AcceptedFinding",
    "AccessRule",
    "AgreementEvent",
    "AgreementProposal",
    "BankOrder",
    "BankOrderLine",
    "Booking",
    "BookingEvent",
    "BookingOption",
    "BookingPayment",
    "BookingRequest",
    "BookingSeries",
    "BookingSession",
    "BookingStatus",
    "BookingToken",
    "CalendarFeed",
    "CalendarMark",
    "CancelReason",
    "ChargeDetailRecord",
    "ChargingProfile",
    "Claim",
    "Closure",
    "ClosureAct",
    "ClosureStep",
    "DepotPower",
    "Dispute",
    "Enforcement",
    "EvsePower",
    "ExternalLimit",
    "FeedEvent",
    "InboxMessage",
    "IncomingInvoice",
    "Invoice",
    "InvoiceFile",
    "InvoiceReconciliationRecord",
    "InvoicedCdr",
    "KeptAnswer",
    "KeptEvse",
    "NotificationChoice",
    "NumberSequence",
    "Occupancy",
    "Occurrence",
    "OfferedSlot",
    "OutgoingMail",
    "OwnerAnswer",
    "OwnerCheck",
    "PartnerCommand",
    "Payment",
    "PaymentReturn",
    "PaymentTerms",
    "PowerMark",
    "PrepaidBalance",
    "PrepaidEntry",
    "PriceCheck",
    "Reader",
    "Reminder",
    "RemoteSession",
    "ReserveTest",
    "ScheduledBilling",
    "SchedulerTick",
    "SessionLimit",
    "SessionStatus",
    "Tariff",
    "TariffBinding",
    "TariffVersion",
    "TellingCursor",
    "TermsOverride",
    "Token",
    "Trailer",
    "Trip",
    "UntoldEvent",
    "Vehicle",
    "VehicleState",
    "WaitlistEntry",
    "WaitlistMark",
    "Webhook",
    "WebhookDelivery",
]
