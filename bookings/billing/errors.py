"""What could not be done about money: like `bookings.errors`, one class a rule with a stable code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bookings.errors import BookingError


class VatIdInvalid(BookingError):
    code = "vat_id_invalid"
    field = "vat_id"


class IbanInvalid(BookingError):
    code = "iban_invalid"
    field = "iban"


class CreditorIdInvalid(BookingError):
    code = "creditor_id_invalid"
    field = "creditor_id"


class BilledElsewhere(BookingError):
    """The invoices of this organisation are written by itself, outside Berth."""

    code = "billed_elsewhere"


class InvoiceIncomplete(BookingError):
    """`faults` are sentences, one for each thing that an invoice must name and does not, or names wrongly."""

    code = "invoice_incomplete"

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("No invoice can be written: " + " ".join(faults))
        self.faults = tuple(faults)


class InvoiceNotValid(BookingError):
    """Ours to mend: what was written breaks rules of EN 16931, which `faults` name. It must not be sent."""

    code = "invoice_not_valid"

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("The invoice breaks rules of EN 16931: " + " ".join(faults))
        self.faults = tuple(faults)


class DocumentUnreadable(BookingError):
    code = "document_unreadable"
    field = "file"


class PaymentFileRefused(BookingError):
    code = "payment_file_refused"


class ParticularsFault(BookingError):
    """`faults` has a sentence for each field of an organisation's particulars."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__(" ".join(f"{name.replace('_', '-')}: {fault}" for name, fault in faults.items()))
        self.faults = dict(faults)


class ParticularsInvalid(ParticularsFault):
    """The fields that were entered wrongly."""

    code = "particulars_invalid"


class ParticularsMissing(ParticularsFault):
    """The fields that an invoice must say and nobody has entered."""

    code = "particulars_missing"


class MonthInvalid(BookingError):
    code = "month_invalid"
    field = "month"


class MonthNotOver(BookingError):
    code = "month_not_over"
    field = "month"


class RecordSettled(BookingError):
    """It was credited, answered or is a credit itself: nothing more can be done about it."""

    code = "record_settled"


class LineUnknown(BookingError):
    code = "unknown_line"
    field = "line"


class DisputedAlready(BookingError):
    code = "disputed_already"
    field = "line"


class ReasonMissing(BookingError):
    """The other side is told why."""

    code = "reason_missing"
    field = "reason"


class PaymentReferenceInUse(BookingError):
    """The same reference was recorded for this invoice with another amount."""

    code = "payment_reference_in_use"
    field = "reference"


class NothingToRemind(BookingError):
    code = "nothing_to_remind"


class RecordUnknown(BookingError):
    code = "unknown_record"
    field = "id"


class NothingToCredit(BookingError):
    code = "nothing_to_credit"


class NothingToOrder(BookingError):
    """No open invoice could stand in a file for the bank."""

    code = "nothing_to_order"


class FindingGone(BookingError):
    """What was to be accepted is not found any more, or somebody has accepted it."""

    code = "finding_gone"


class InvoiceKnown(BookingError):
    """The incoming invoice is here already: `incoming_id` is the first, `invoice_id` one of Berth's own."""

    code = "invoice_known"
    field = "number"

    def __init__(
        self, sentence: str, *, incoming_id: int | None = None, invoice_id: int | None = None
    ) -> None:
        super().__init__(sentence)
        self.incoming_id = incoming_id
        self.invoice_id = invoice_id


class IncomingInvoiceInvalid(BookingError):
    """What an incoming invoice says cannot be kept, or does not let it be paid, changed or withdrawn as it is."""

    code = "incoming_invoice_invalid"


class NothingToRecord(BookingError):
    """A session or booking has a record, or costs nothing."""

    code = "nothing_to_record"
