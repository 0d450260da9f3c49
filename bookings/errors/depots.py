"""What cannot be done with a depot: its agreements, terms, chargers and things of a fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

from bookings.errors.base import BookingError


class LimitImpossible(BookingError):
    code = "limit_impossible"
    field = "kw"


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


class TermsImpossible(BookingError):
    """Terms under which nothing could be booked. `term` is the one at fault."""

    code = "terms_impossible"

    def __init__(self, sentence: str, *, term: str) -> None:
        super().__init__(sentence[:1].upper() + sentence[1:])
        self.term = term


class PlateInUse(BookingError):
    """The fleet has a vehicle of this plate, in whatever capitals."""

    code = "plate_in_use"
    field = "plate"


class TokenInUse(BookingError):
    """The fleet has a token of this number and kind."""

    code = "token_in_use"
    field = "uid"


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
