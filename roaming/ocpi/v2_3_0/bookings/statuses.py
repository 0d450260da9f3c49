"""What becomes of a booking, in our words and in those of Bookings 1.1: tables in both directions."""

from __future__ import annotations

from bookings.models import Booking, BookingRequest, BookingStatus
from roaming.ocpi.v2_3_0.bookings.schemas import CancelledBy, ReservationRequestStatus, ReservationStatus

# None: never sent.
STATUS: dict[BookingStatus, ReservationStatus | None] = {
    BookingStatus.HELD: None,
    BookingStatus.EXPIRED: None,
    BookingStatus.REQUESTED: ReservationStatus.PENDING,
    BookingStatus.CONFIRMED: ReservationStatus.RESERVED,
    BookingStatus.CHARGING: ReservationStatus.FULFILLED,
    BookingStatus.COMPLETED: ReservationStatus.FULFILLED,
    BookingStatus.DECLINED: ReservationStatus.REJECTED,
    BookingStatus.CANCELLED: ReservationStatus.CANCELED,
    BookingStatus.NO_SHOW: ReservationStatus.NO_SHOW,
    BookingStatus.FAILED: ReservationStatus.FAILED,
}
# A partner's word for a booking at its depot. None: it says nothing we could follow. FULFILLED comes when the session
# starts, and nothing comes when it ends.
OUR_STATUS: dict[ReservationStatus, BookingStatus | None] = {
    ReservationStatus.PENDING: BookingStatus.REQUESTED,
    ReservationStatus.RESERVED: BookingStatus.CONFIRMED,
    ReservationStatus.FULFILLED: BookingStatus.CHARGING,
    ReservationStatus.REJECTED: BookingStatus.DECLINED,
    ReservationStatus.CANCELED: BookingStatus.CANCELLED,
    ReservationStatus.NO_SHOW: BookingStatus.NO_SHOW,
    ReservationStatus.FAILED: BookingStatus.FAILED,
    ReservationStatus.UNKNOWN: None,
}
FINAL = frozenset(
    {
        ReservationStatus.CANCELED,
        ReservationStatus.FAILED,
        ReservationStatus.NO_SHOW,
        ReservationStatus.FULFILLED,
        ReservationStatus.REJECTED,
    }
)
DECISION: dict[BookingRequest.Decision, ReservationRequestStatus] = {
    BookingRequest.Decision.PENDING: ReservationRequestStatus.PENDING,
    BookingRequest.Decision.ACCEPTED: ReservationRequestStatus.ACCEPTED,
    BookingRequest.Decision.DECLINED: ReservationRequestStatus.DECLINED,
    BookingRequest.Decision.FAILED: ReservationRequestStatus.FAILED,
}
OUR_DECISION: dict[ReservationRequestStatus, BookingRequest.Decision] = {w: d for d, w in DECISION.items()}
CANCELLED_BY: dict[Booking.Side, CancelledBy] = {
    Booking.Side.FLEET: CancelledBy.EMSP,
    Booking.Side.DEPOT: CancelledBy.CPO,
}
OUR_SIDE: dict[CancelledBy, Booking.Side] = {who: side for side, who in CANCELLED_BY.items()}
