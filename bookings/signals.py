"""Changes others must hear of, sent inside the transaction that makes them.

Receivers run in that transaction: they write rows, enqueue jobs or notify, and call nobody.
"""

from django.dispatch import Signal

# booking: Booking, event: BookingEvent, at. Its status, span, enforcement or anything shown of it is different now.
booking_changed = Signal()
# evse_ids: list[int], at. The free time of these EVSEs may be different now.
free_time_changed = Signal()
# option_ids: list[int], at. Sent by the tick, in its transaction: these calendars have a new version.
calendars_raised = Signal()
# option_ids: list[int], at. A partner told what is free at these options of its own.
offers_told = Signal()
# token_ids: list[int], at. Tokens of fleets are new, or others than before: whether they may charge, too.
tokens_changed = Signal()
# cdr: ChargeDetailRecord, at. A record, credit or new issue, in the transaction of what it is about.
cdr_issued = Signal()
# request: BookingRequest, at. A partner has to be asked (create, change or cancel of an outbound booking).
partner_asked = Signal()
# command: PartnerCommand, at. A partner is to have one of its chargers do something.
partner_commanded = Signal()
# depot_id: int, evse_ids: list[int], at. A closure appeared or went.
closures_changed = Signal()
# kind: str of notifications.kinds, about: AgreementProposal | Agreement, actor, at. An agreement was asked for, offered, answered
# or ended.
agreement_moved = Signal()
# invoices: list[Invoice], at. They were issued; credit notes among them.
invoices_issued = Signal()
# billing: ScheduledBilling, at. A month is to be billed.
billing_due = Signal()
# reminder: Reminder, at. It is to be sent.
reminder_due = Signal()
# account: bookings.payments.prepaid.Account, at. More of it is available.
balance_raised = Signal()
# payment: BookingPayment, at. Its provider is to be told something.
provider_owed = Signal()
# session_id: int, is_kept: bool, at. What a session's customer wished last (a limit, or none any more) is kept, or cannot be.
customer_limit_settled = Signal()
# session_ids: list[int], at. Sessions of which a limit was kept once may take another amount than before.
given_power_changed = Signal()
# limit: ExternalLimit, before: ExternalLimit | None, at. It was set, behind the lock of its depot and all of that's EVSEs;
# `before` is what it takes the place of, or itself as it was before it was made longer or shorter.
limit_set = Signal()
# limits: list[ExternalLimit], at. They were lifted before their end, behind their depot's lock.
limits_lifted = Signal()
# invoice: Invoice, at. All of it is paid.
invoice_settled = Signal()
# claims: list[tuple[int, int]], at. Mails that are to be sent now, each with the attempts it has had.
mails_due = Signal()
# series_ids: list[int], at. A day of these series has come within the horizon of its depot.
series_due = Signal()
# series: BookingSeries, missed: dict as of BookingSeries.untold, at. Days that waited could not be booked when their time came.
series_missed = Signal()
# trip: Trip, at. All its stops are booked, or it came to nothing.
trip_settled = Signal()
# A vehicle's telematics told when it will be there. Arguments: vehicle_id, at.
vehicle_told = Signal()
# entry: WaitlistEntry, at. A slot is offered to who waits.
waitlist_offered = Signal()
# entries: list[WaitlistEntry], why: a code, at. Nothing came of these.
waitlist_expired = Signal()
# event: AgreementEvent, at. An end was taken back: what is to be booked again with it stands in its detail.
end_taken_back = Signal()
# event: AgreementEvent, at. All of that was tried.
booked_again = Signal()
