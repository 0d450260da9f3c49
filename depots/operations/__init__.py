"""What is asked of chargers and what they report, each one transaction. The gateway calls most of it."""

from depots.operations.authorization import (
    authorize,
    follow_authorize,
    judge_strangers,
    record_owner_word,
)
from depots.operations.charger_state import (
    record_boot,
    record_capabilities,
    record_clock,
    record_deviation,
    record_measured,
    report_reservation_ended,
    report_status,
)
from depots.operations.clock_correction import RIGHT_WITHIN
from depots.operations.command_progress import record_progress
from depots.operations.commands import (
    NotTheHolder,
    due_chargers,
    lose_sent_commands,
    queue_command,
    queue_commands,
    settle_command,
    take_command,
)
from depots.operations.commands_at_once import settle_commands, take_commands
from depots.operations.connections_at_once import (
    close_connections,
    open_connections,
    reconcile_connections,
    record_all_capabilities,
    record_boots,
    record_clocks,
)
from depots.operations.contracts import check_contract
from depots.operations.leases import (
    Renewal,
    close_connection,
    open_connection,
    reconcile,
    release_lapsed,
    renew_leases,
)
from depots.operations.local_lists import forget_lists, look_through_again, take_list_answer, want_list
from depots.operations.measuring import OVER_REBOOT, measure, measure_together
from depots.operations.message_log import forget_old_messages, keep_messages
from depots.operations.meter_readings import add_readings, tell_latest_figures
from depots.operations.meter_thinning import thin_old_readings
from depots.operations.refused_connections import forget_old_refusals
from depots.operations.samples_at_once import add_readings_of_many, record_updates
from depots.operations.sessions import start_session, stop_session
from depots.operations.silent_sessions import end_silent_session, silent_sessions
from depots.operations.state_history import forget_old_history
from depots.operations.statuses_at_once import report_statuses
from depots.operations.transaction_events import record_transaction
from depots.operations.transaction_reports import BIGGEST, FLAGS, Reading, Start, Stop, TransactionReport

__all__ = [
    "BIGGEST",
    "FLAGS",
    "OVER_REBOOT",
    "RIGHT_WITHIN",
    "NotTheHolder",
    "Reading",
    "Renewal",
    "Start",
    "Stop",
    "TransactionReport",
    "add_readings",
    "add_readings_of_many",
    "authorize",
    "check_contract",
    "close_connection",
    "close_connections",
    "due_chargers",
    "end_silent_session",
    "follow_authorize",
    "forget_lists",
    "forget_old_history",
    "forget_old_messages",
    "forget_old_refusals",
    "judge_strangers",
    "keep_messages",
    "look_through_again",
    "lose_sent_commands",
    "measure",
    "measure_together",
    "open_connection",
    "open_connections",
    "queue_command",
    "queue_commands",
    "reconcile",
    "reconcile_connections",
    "record_all_capabilities",
    "record_boot",
    "record_boots",
    "record_capabilities",
    "record_clock",
    "record_clocks",
    "record_deviation",
    "record_measured",
    "record_owner_word",
    "record_progress",
    "record_transaction",
    "record_updates",
    "release_lapsed",
    "renew_leases",
    "report_reservation_ended",
    "report_status",
    "report_statuses",
    "settle_command",
    "settle_commands",
    "silent_sessions",
    "start_session",
    "stop_session",
    "take_command",
    "take_commands",
    "take_list_answer",
    "tell_latest_figures",
    "thin_old_readings",
    "want_list",
]
