"""The closed loop between a booking and its charger (docs/decisions/0007, 0008, 0009 and 0028 say why).

The booking is the promise; the reservation on the charger is only the lock on the door. What a charger forgets,
refuses or does not support changes a booking's enforcement, never its status by itself.
"""

from bookings.enforcement.accepted_together import take_accepted
from bookings.enforcement.arming import arm_booking, arm_due, distrust_liars, retry_due
from bookings.enforcement.charger_events import (
    charger_connected,
    charger_disconnected,
    evse_status_changed,
    evse_status_repeated,
    reservation_ended,
    session_ended,
    session_started,
)
from bookings.enforcement.chargers_together import take_connected, take_disconnected, take_statuses
from bookings.enforcement.fallbacks import follow_kept_evses, token_presented
from bookings.enforcement.following import follow
from bookings.enforcement.local_lists import follow_local_lists
from bookings.enforcement.overstays import note_overstays, stop_overstays, warn_of_ends
from bookings.enforcement.rescue import give_up_or_no_show, rescue
from bookings.enforcement.reservation_answers import take_keeping_answer, take_reservation_answer
from bookings.enforcement.reserve_tests import (
    finish_reserve_tests,
    take_test_answer,
    try_reservation,
    why_not_tried,
)
from bookings.enforcement.session_monitoring import end_failed_tries, mark_lost, watch_bays
from bookings.enforcement.stays import end_stays
from bookings.enforcement.walk_ins import adopt_due

__all__ = [
    "adopt_due",
    "arm_booking",
    "arm_due",
    "charger_connected",
    "charger_disconnected",
    "distrust_liars",
    "end_failed_tries",
    "end_stays",
    "evse_status_changed",
    "evse_status_repeated",
    "finish_reserve_tests",
    "follow",
    "follow_kept_evses",
    "follow_local_lists",
    "give_up_or_no_show",
    "mark_lost",
    "note_overstays",
    "rescue",
    "reservation_ended",
    "retry_due",
    "session_ended",
    "session_started",
    "stop_overstays",
    "take_accepted",
    "take_connected",
    "take_disconnected",
    "take_keeping_answer",
    "take_reservation_answer",
    "take_statuses",
    "take_test_answer",
    "token_presented",
    "try_reservation",
    "warn_of_ends",
    "watch_bays",
    "why_not_tried",
]
