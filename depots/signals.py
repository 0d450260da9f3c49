"""Facts about the physical world that others may hear of. Receivers run inside the sender's transaction and only
write rows or enqueue; none of them calls a charger, a partner or a mail server.

Every signal carries `at`, the moment it was learnt.
"""

from django.dispatch import Signal

# charger: Charger, rebooted, is_together, at. The socket is open (again), and what it holds is unknown; `rebooted` says it came
# with a boot. `is_together`: who has bookings there need not look for them, and it is told of once more in chargers_changed.
charger_connected = Signal()
# rebooted: dict[Charger, bool], at. Chargers whose sockets are open again, locked with their EVSEs; nothing is written yet. A
# receiver says again what should stand there, and gives the ids of those that it must be told of one by one instead.
chargers_connected = Signal()
# chargers: list[Charger], at. The same of those that are gone.
chargers_disconnected = Signal()
# charger_ids: list[int], at. Those that connect for the first time, before the first message of theirs is read.
chargers_first_connected = Signal()
# chargers: list[Charger], at. Those that came or went in the same moment: who needs a statement for each sends one for all.
chargers_changed = Signal()
# charger: Charger, is_together, at
charger_disconnected = Signal()
# evse: Evse, before: Evse.Status, after: Evse.Status, is_together, at. `is_together` as above, with evses_changed.
evse_status_changed = Signal()
# evse: Evse, at. It told the status that was known already; not sent of those that are told together.
evse_status_repeated = Signal()
# befores: dict[Evse, Evse.Status], at. Awaited EVSEs (depots.gate) have told a status; they are locked and show it, and nothing
# is written yet. A receiver does what follows, and gives the ids of those that it must be told of one by one instead.
statuses_told = Signal()
# evses: list[Evse], at. Those that changed in the same moment.
evses_changed = Signal()
# charger: Charger, token_uid, at. A driver has shown a card there (Authorize), whatever it was answered.
token_presented = Signal()
# session: ChargingSession, answer: gate.Answer, at. The session exists; `session.is_entitled` is what the gate said.
charging_started = Signal()
# session: ChargingSession, at
charging_ended = Signal()
# session: ChargingSession, at. It had ended already, and what is known of it is different now: its end, meter or states.
charging_corrected = Signal()
# session: ChargingSession, is_together, at. Its meter has told more of a running session; sent every few seconds at most.
# `is_together`: it is told of once more in sessions_metered.
session_metered = Signal()
# sessions: list[ChargingSession], at. Those whose meters have told in the same moment.
sessions_metered = Signal()
# command: ChargerCommand, is_together, at. It was answered, its answer was lost, or it went stale. `is_together`: who asked for
# it has taken the answer in reservations_accepted.
command_settled = Signal()
# commands: list[ChargerCommand], at. Chargers whose EVSEs are locked have accepted reservations in the same moment. Nothing is
# written yet: a receiver gives the ids of those that it must be told of one by one, which are not settled here.
reservations_accepted = Signal()
# command: ChargerCommand, at. The charger told how far it is with something that takes its time.
command_progressed = Signal()
# charger: Charger, reservation_id: int, outcome: "expired" | "removed" | "no_transaction", at (ReservationStatusUpdate)
reservation_ended = Signal()
