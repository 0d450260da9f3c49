"""Why something could not be done: one class a rule, each with a stable code. The codes are listed in docs/integrators.

`field` names what to correct in the words of the finder form, "" when nothing the asker gave is at fault; `nearest` is
a period that would have been allowed, where one is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from depots.periods import Period

if TYPE_CHECKING:
    from bookings.core.versions import ChangeSince
    from bookings.operations.many_wishes import ManyOutcome
    from bookings.pricing.tariff_checks import TariffFault


class BookingError(Exception):
    """A refusal: nothing was changed. `str()` is a sentence for a dispatcher and tells nothing of other bookings."""

    code: ClassVar[str] = "refused"
    field: str = ""
    # Where in what was sent that field is, if the asker sent several such things at once.
    path: str = ""
    # Looks for the nearest period, where that was put off (bookings.operations.places.nearest_later).
    find_nearest: Callable[[], Period | None] | None = None

    def __init__(self, sentence: str, *, nearest: Period | None = None) -> None:
        super().__init__(sentence)
        self.nearest = nearest


class SlotTaken(BookingError):
    code = "slot_taken"
    field = "starts_at"

    def __init__(self, sentence: str = "This slot is taken.", *, nearest: Period | None = None) -> None:
        super().__init__(sentence, nearest=nearest)


class DepotClosed(BookingError):
    code = "depot_closed"
    field = "starts_at"


class NotOpenToYou(BookingError):
    code = "not_open_to_you"
    field = "depot"


class OptionUnknown(BookingError):
    code = "unknown_option"
    field = "option"


class EvseUnknown(BookingError):
    code = "unknown_evse"
    field = "evse"


class LimitImpossible(BookingError):
    code = "limit_impossible"
    field = "kw"


class InThePast(BookingError):
    code = "in_the_past"
    field = "starts_at"


class EndsBeforeStart(BookingError):
    code = "ends_before_start"
    field = "ends_at"


class NotAligned(BookingError):
    code = "not_aligned"
    field = "starts_at"


class TooShort(BookingError):
    code = "too_short"
    field = "ends_at"


class TooLong(BookingError):
    code = "too_long"
    field = "ends_at"


class TooSoon(BookingError):
    code = "too_soon"
    field = "starts_at"


class TooFarAhead(BookingError):
    code = "too_far_ahead"
    field = "starts_at"


class TooManyBookings(BookingError):
    """The term `max_open_bookings`: so many live bookings a customer has at one depot at most."""

    code = "too_many_bookings"


class OutsideGuestHours(BookingError):
    """Guests may have slots in other hours, or not as late: the agreement has ended by then."""

    code = "outside_guest_hours"
    field = "starts_at"


class OwnFleetFirst(BookingError):
    """So far ahead the hours are kept for the depot's own fleet."""

    code = "own_fleet_first"
    field = "starts_at"


class OpenAlready(BookingError):
    """The depot is open to whom it would be opened."""

    code = "open_already"


class ProposalWaits(BookingError):
    """An ask or offer of the same depot and guest waits for its answer."""

    code = "proposal_waits"


class ProposalAnswered(BookingError):
    code = "proposal_answered"


class AgreementOver(BookingError):
    code = "agreement_over"


class TooManyRules(BookingError):
    code = "too_many_rules"


class QuotaReached(BookingError):
    """The customer, or all guests together, have as much of the depot then as they may."""

    code = "quota_reached"
    field = "starts_at"


class KeptForWalkIns(BookingError):
    """The last EVSEs are kept for trucks without a booking."""

    code = "kept_for_walk_ins"
    field = "starts_at"


class DoesNotFit(BookingError):
    """The vehicle does not fit the bay, its plug does not fit, or the EVSE lacks what it needs."""

    code = "does_not_fit"
    field = "vehicle"


class EnergyImpossible(BookingError):
    """What is to be charged makes no sense for the vehicle, or how long that takes cannot be said."""

    code = "energy_impossible"

    def __init__(self, sentence: str, *, field: str = "energy_kwh") -> None:
        super().__init__(sentence)
        self.field = field


class PowerUnavailable(BookingError):
    """The EVSE, its cabinet or the grid cannot promise so much. `available_w` could have been promised."""

    code = "power_unavailable"
    field = "power_kw"

    def __init__(self, sentence: str, *, available_w: int) -> None:
        super().__init__(sentence)
        self.available_w = available_w


# What can stand in the way at one EVSE or time and not at another.
NO_ROOM = (PowerUnavailable, QuotaReached, KeptForWalkIns)


class LowerPower(BookingError):
    """A depot's move would lower what its fleet was promised: whoever moves it says first that this is meant."""

    code = "lower_power"
    field = "evse"

    def __init__(self, place: str, *, before_w: int, after_w: int) -> None:
        before, after = (f"{watts / 1000:.0f} kW" for watts in (before_w, after_w))
        super().__init__(f"Promised are {before}; at {place} it would be {after} then.")
        self.before_w, self.after_w = before_w, after_w


class TermsImpossible(BookingError):
    """Terms under which nothing could be booked. `term` is the one at fault."""

    code = "terms_impossible"

    def __init__(self, sentence: str, *, term: str) -> None:
        super().__init__(sentence[:1].upper() + sentence[1:])
        self.term = term


class TariffRefused(BookingError):
    """`faults` say which of the drafts, counted from 0, is wrong at which field."""

    code = "tariff_refused"
    field = "tariff"

    def __init__(self, faults: Sequence[tuple[int, TariffFault]]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.text}" for _, fault in faults) + ".")
        self.faults = tuple(faults)


class TokenElsewhere(BookingError):
    code = "token_elsewhere"
    field = "tokens"


class VehicleElsewhere(BookingError):
    code = "vehicle_elsewhere"
    field = "vehicle"


class VehicleUnknown(BookingError):
    code = "unknown_vehicle"
    field = "vehicle"


class TrailerUnknown(BookingError):
    code = "unknown_trailer"
    field = "trailer"


class PlateInUse(BookingError):
    """The fleet has a vehicle of this plate, in whatever capitals."""

    code = "plate_in_use"
    field = "plate"


class TokenInUse(BookingError):
    """The fleet has a token of this number and kind."""

    code = "token_in_use"
    field = "uid"


class TokenUnusable(BookingError):
    code = "token_unusable"
    field = "tokens"


class ChangeTooLate(BookingError):
    code = "change_too_late"

    def __init__(self, deadline: datetime, local: str) -> None:
        super().__init__(f"Changes were possible until {local}.")
        self.deadline = deadline


class CancelTooLate(BookingError):
    code = "cancel_too_late"

    def __init__(self, deadline: datetime, local: str, *, has_fee: bool = False) -> None:
        """`has_fee`: by itself it still can be, for what that costs."""
        words = "free of charge " if has_fee else ""
        super().__init__(f"This booking could be cancelled {words}until {local}.")
        self.deadline = deadline


class Conflicts(BookingError):
    """Of many that were to be booked together some are refused, so none was. `outcomes` has what each came to
    (bookings.operations.many_wishes)."""

    code = "conflicts"

    def __init__(self, outcomes: Sequence[ManyOutcome], *, done: str = "booked") -> None:
        refused = sum(outcome.refusal is not None for outcome in outcomes)
        super().__init__(f"{refused} of {len(outcomes)} cannot be {done}, so none was.")
        self.outcomes = tuple(outcomes)


class TooManyAtOnce(BookingError):
    code = "too_many_at_once"
    field = "bookings"


class RuleUnclear(BookingError):
    """A rule of a series that cannot be read, or is none that is offered."""

    code = "invalid"

    def __init__(self, sentence: str, *, field: str = "rrule") -> None:
        super().__init__(sentence)
        self.field = field


class WaitsAlready(BookingError):
    """The same vehicle waits there for the same slot."""

    code = "waits_already"
    field = "vehicle"


class TooManyWaiting(BookingError):
    code = "too_many_waiting"


class NothingToChange(BookingError):
    code = "nothing_to_change"


class ChangedMeanwhile(BookingError):
    """What was asked for was asked of an older version, and the same was changed since.

    `changes` are the events since then, oldest first; empty where the version seen is not known.
    """

    code = "changed_meanwhile"

    def __init__(self, sentence: str, *, changes: Sequence[ChangeSince] = ()) -> None:
        super().__init__(sentence)
        self.changes = changes


class TooLateToUndo(BookingError):
    """What one click did can be taken back with another for a few seconds only."""

    code = "too_late_to_undo"


class NothingToDecide(BookingError):
    code = "nothing_to_decide"


class OfferImpossible(BookingError):
    """What a depot offers instead of what was asked for or booked cannot be offered."""

    code = "offer_impossible"


class ChargerOffline(BookingError):
    code = "charger_offline"

    def __init__(self, sentence: str = "The charger is not connected.") -> None:
        super().__init__(sentence)


class ChargerCannot(BookingError):
    """Known before it is asked; the sentence says how."""

    code = "charger_cannot"


class SessionOver(BookingError):
    code = "session_over"

    def __init__(self, sentence: str = "The session has ended.") -> None:
        super().__init__(sentence)


class NothingToLift(BookingError):
    code = "nothing_to_lift"

    def __init__(self, sentence: str = "The session's power is not limited.") -> None:
        super().__init__(sentence)


class TemplateKnown(BookingError):
    code = "template_known"

    def __init__(self, sentence: str = "There is a template for the same chargers already.") -> None:
        super().__init__(sentence)


class EvseNeeded(BookingError):
    """A reservation is only tried where nobody stands and nobody is due."""

    code = "evse_needed"


class EvseInUse(BookingError):
    """Somebody charges there now."""

    code = "evse_in_use"


class NotYetStartable(BookingError):
    code = "not_yet"
    field = "starts_at"

    def __init__(self, sentence: str = "The slot has not begun yet.") -> None:
        super().__init__(sentence)


class WrongStatus(BookingError):
    """The move is not in the table. `status` is what the booking was."""

    code = "wrong_status"

    def __init__(self, status: str, to: str, sentence: str = "") -> None:
        super().__init__(sentence or f"A booking that is {words(status)} cannot become {words(to)}.")
        self.status, self.to = status, to


class ReasonUnknown(BookingError):
    code = "unknown_reason"
    field = "reason"


class RequestIdInUse(BookingError):
    code = "request_id_in_use"
    field = "request_id"


class IdempotencyKeyInUse(BookingError):
    """What was asked first under this key is being done just now."""

    code = "idempotency_key_in_use"

    def __init__(self, sentence: str = "What this key was sent with first is being done.") -> None:
        super().__init__(sentence)


class IdempotencyKeyReused(BookingError):
    """The key stands for something else that was asked."""

    code = "idempotency_key_reused"

    def __init__(self, sentence: str = "This key was sent before with another address or body.") -> None:
        super().__init__(sentence)


class BookingUnknown(BookingError):
    code = "unknown_booking"
    field = "id"


class NotAtPartner(BookingError):
    """The depot is a partner's: this is theirs to decide."""

    code = "partner_decides"


class PartnerSilent(BookingError):
    """A change or cancellation is already on its way to the partner; its answer comes first."""

    code = "answer_awaited"


def words(status: str) -> str:
    return status.replace("_", " ")


class PriceChanged(BookingError):
    """It costs more by now than who books was shown."""

    code = "price_changed"


class TooDear(BookingError):
    """It costs more than whoever looks for it wants to pay."""

    code = "too_dear"
    field = "max_price"


class CreditLimitReached(BookingError):
    """The booking would take the customer's debt to the operator beyond what was agreed."""

    code = "credit_limit"


class AmountInvalid(BookingError):
    code = "amount_invalid"
    field = "amount"


class PaymentMissing(BookingError):
    """What has to be paid or guaranteed first is not there, and no time is left to wait for it, or it is a change that costs
    more. `amount` is how much is missing."""

    code = "payment_missing"

    def __init__(self, sentence: str, amount: Decimal) -> None:
        super().__init__(sentence)
        self.amount = amount


class PaymentAwaited(BookingError):
    """The booking waits for its payment: until that is there it is neither confirmed nor changed."""

    code = "payment_awaited"


class BalanceTooLow(BookingError):
    code = "balance_too_low"
    field = "amount"


class TopUpReferenceInUse(BookingError):
    """The same reference was recorded for this customer with another amount."""

    code = "top_up_reference_in_use"
    field = "reference"


class IdentityTaken(BookingError):
    """Another charger has this OCPP identity."""

    code = "identity_taken"


class UidTaken(BookingError):
    """Another EVSE or booking option has this name."""

    code = "uid_taken"
    field = "uid"


class NoCredentialsTried(BookingError):
    """A charger that was refused cannot keep its password: it tried none."""

    code = "no_credentials_tried"
    field = "credentials"


class WebhookRefused(BookingError):
    """An address that is not called."""

    code = "webhook_refused"
    field = "url"


class EventUnknown(BookingError):
    code = "unknown_event"
    field = "events"


class TooManyWebhooks(BookingError):
    code = "too_many_webhooks"


class TooManyCalendars(BookingError):
    code = "too_many_calendars"


class WrongWebhookState(BookingError):
    """A webhook is paused, stopped or active already, or what is to be sent again still waits."""

    code = "wrong_webhook_state"


# Codes of refusals where somebody or something else stands in the way; with others the ask itself does not fit the rules.
IN_THE_WAY = frozenset(
    {
        "answer_awaited",
        "changed_meanwhile",
        "charger_cannot",
        "charger_offline",
        "conflicts",
        "evse_in_use",
        "evse_needed",
        "finding_gone",
        "idempotency_key_in_use",
        "identity_taken",
        "invoice_known",
        "lower_power",
        "nothing_to_decide",
        "nothing_to_lift",
        "nothing_to_record",
        "payment_awaited",
        "power_unavailable",
        "price_changed",
        "session_over",
        "slot_taken",
        "template_known",
        "token_elsewhere",
        "uid_taken",
        "vehicle_elsewhere",
        "waits_already",
        "wrong_status",
        "wrong_webhook_state",
    }
)
