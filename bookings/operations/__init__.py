"""What a fleet, a depot, a partner or time itself can do to a booking: one function, one transaction each."""

from bookings.operations.arrive import mark_arrived, truck_arrived, withdraw_arrival
from bookings.operations.best_effort import UNUSED_AFTER, end_unused, take_elsewhere
from bookings.operations.book import hold_slot, request_booking
from bookings.operations.book_many import (
    MOST_AT_ONCE,
    ManyOutcome,
    ManyWish,
    book_many,
)
from bookings.operations.book_series import book_series, claim_due, extend_series, preview_series
from bookings.operations.cancel import cancel_booking, release_hold
from bookings.operations.change import change_booking, price_of_change
from bookings.operations.change_request import ChangeRequest
from bookings.operations.change_series import Scope, SeriesChange, cancel_series, change_series
from bookings.operations.charge import (
    begin_stay,
    complete,
    correct_session,
    end_session,
    start_charging,
    vehicle_left,
)
from bookings.operations.close import affected, clear_closure, close_evse, lift_closure
from bookings.operations.closure_acts import close_evses, undo_closure
from bookings.operations.confirm import confirm_hold
from bookings.operations.counter_offer import (
    CounterOffer,
    accept_counter_offer,
    decline_counter_offer,
    offer_instead,
    open_counter_offer,
)
from bookings.operations.decide import decide
from bookings.operations.end_agreement import book_again
from bookings.operations.expire import (
    complete_overdue_remote,
    expire_hold,
    fail_unanswered_remote,
    fail_undecided,
    mark_no_show,
    overdue_remote,
)
from bookings.operations.late import delay_booking, foreseen_delay, swap_vehicle
from bookings.operations.limit_power import end_limits, lift_limits, limit_depot
from bookings.operations.mark_seen import mark_seen
from bookings.operations.offers_by_moves import FullPool, full_pools, offers_by_moves
from bookings.operations.owner_answers import record_owner_answer
from bookings.operations.partner_answers import RemoteState, adopt_remote, with_asked
from bookings.operations.partner_asks import (
    ask_to_book,
    ask_to_cancel,
    ask_to_change,
    find_asked,
    is_repeated,
)
from bookings.operations.partner_commands import (
    give_back_at_partner,
    give_up_waiting,
    lift_limit_at_partner,
    limit_at_partner,
    reserve_at_partner,
    show_limit_at_partner,
    start_at_partner,
    stop_at_partner,
    take_response,
    take_result,
    unlock_at_partner,
)
from bookings.operations.payment_answers import secure_from_balance, take_answer, waiting_for_payment
from bookings.operations.released_hours import tell_of_released_hours
from bookings.operations.remote_sessions import (
    RemoteSessionId,
    RemoteSessionState,
    find_remote_session,
    keep_remote_session,
    likely_sessions,
    match_remote_session,
    take_allowed,
)
from bookings.operations.remote_start import start_remotely, stop_remotely, take_remote_answer
from bookings.operations.remote_walk_in import start_unbooked
from bookings.operations.reserve_now import give_back, reserve_now
from bookings.operations.series_plan import OccurrenceOutcome, SeriesPlan, SeriesRequest
from bookings.operations.slot_request import SlotRequest
from bookings.operations.tokens import add_token, change_token, set_blocked
from bookings.operations.trailers import TrailerFacts, add_trailer, change_trailer, set_trailer_retired
from bookings.operations.trips import book_trip, cancel_trip, due_trips, settle_trip
from bookings.operations.undo import undo
from bookings.operations.vehicle_states import follow_eta, tell_vehicle_state
from bookings.operations.vehicles import add_vehicle, change_vehicle, set_retired
from bookings.operations.waitlist import (
    accept_offer,
    due_offers,
    expire_waiting,
    follow_offer,
    forget_settled,
    join_waitlist,
    leave_waitlist,
)
from bookings.operations.waitlist_offers import due_depots, mark_options, serve_depot

__all__ = [
    "MOST_AT_ONCE",
    "UNUSED_AFTER",
    "ChangeRequest",
    "CounterOffer",
    "FullPool",
    "ManyOutcome",
    "ManyWish",
    "OccurrenceOutcome",
    "RemoteSessionId",
    "RemoteSessionState",
    "RemoteState",
    "Scope",
    "SeriesChange",
    "SeriesPlan",
    "SeriesRequest",
    "SlotRequest",
    "TrailerFacts",
    "accept_counter_offer",
    "accept_offer",
    "add_token",
    "add_trailer",
    "add_vehicle",
    "adopt_remote",
    "affected",
    "ask_to_book",
    "ask_to_cancel",
    "ask_to_change",
    "begin_stay",
    "book_again",
    "book_many",
    "book_series",
    "book_trip",
    "cancel_booking",
    "cancel_series",
    "cancel_trip",
    "change_booking",
    "change_series",
    "change_token",
    "change_trailer",
    "change_vehicle",
    "claim_due",
    "clear_closure",
    "close_evse",
    "close_evses",
    "complete",
    "complete_overdue_remote",
    "confirm_hold",
    "correct_session",
    "decide",
    "decline_counter_offer",
    "delay_booking",
    "due_depots",
    "due_offers",
    "due_trips",
    "end_limits",
    "end_session",
    "end_unused",
    "expire_hold",
    "expire_waiting",
    "extend_series",
    "fail_unanswered_remote",
    "fail_undecided",
    "find_asked",
    "find_remote_session",
    "follow_eta",
    "follow_offer",
    "foreseen_delay",
    "forget_settled",
    "full_pools",
    "give_back",
    "give_back_at_partner",
    "give_up_waiting",
    "hold_slot",
    "is_repeated",
    "join_waitlist",
    "keep_remote_session",
    "leave_waitlist",
    "lift_closure",
    "lift_limit_at_partner",
    "lift_limits",
    "likely_sessions",
    "limit_at_partner",
    "limit_depot",
    "mark_arrived",
    "mark_no_show",
    "mark_options",
    "mark_seen",
    "match_remote_session",
    "offer_instead",
    "offers_by_moves",
    "open_counter_offer",
    "overdue_remote",
    "preview_series",
    "price_of_change",
    "record_owner_answer",
    "release_hold",
    "request_booking",
    "reserve_at_partner",
    "reserve_now",
    "secure_from_balance",
    "serve_depot",
    "set_blocked",
    "set_retired",
    "set_trailer_retired",
    "settle_trip",
    "show_limit_at_partner",
    "start_at_partner",
    "start_charging",
    "start_remotely",
    "start_unbooked",
    "stop_at_partner",
    "stop_remotely",
    "swap_vehicle",
    "take_allowed",
    "take_answer",
    "take_elsewhere",
    "take_remote_answer",
    "take_response",
    "take_result",
    "tell_of_released_hours",
    "tell_vehicle_state",
    "truck_arrived",
    "undo",
    "undo_closure",
    "unlock_at_partner",
    "vehicle_left",
    "waiting_for_payment",
    "with_asked",
    "withdraw_arrival",
]
