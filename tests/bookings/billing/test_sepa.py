from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from lxml import etree

from bookings.billing.errors import IbanInvalid, PaymentFileRefused
from bookings.billing.sepa import (
    BankAccount,
    Creditor,
    Debit,
    DebitScheme,
    DebitSequence,
    Mandate,
    Transfer,
    direct_debit_file,
    transfer_file,
)

NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
OURS = BankAccount("Rheinstrom Ladeparks GmbH", "DE89370400440532013000")
THEIRS = BankAccount("Ostwind Spedition & Söhne AG", "NL91 ABNA 0417 1643 00")
CREDITOR = Creditor(OURS, "DE98ZZZ09999999999")
DEBIT = Debit(
    end_to_end_id="RHS-2026-000017",
    amount=Decimal("1459.07"),
    mandate=Mandate("M-17", date(2026, 3, 1), THEIRS),
    sequence=DebitSequence.FIRST,
    collect_on=date(2026, 11, 16),
    remittance="Rechnung RHS-2026-000017 für Oktober",
)
TRANSFER = Transfer(
    "RHS-2026-000018", Decimal("23.80"), THEIRS, date(2026, 11, 4), "Gutschrift RHS-2026-000018"
)


def debits(*debits: Debit, creditor: Creditor = CREDITOR, message_id: str = "RHS-D-1") -> bytes:
    return direct_debit_file(creditor, debits or (DEBIT,), message_id=message_id, now=NOW)


def transfers(*transfers: Transfer, debtor: BankAccount = OURS) -> bytes:
    return transfer_file(debtor, transfers or (TRANSFER,), message_id="RHS-T-1", now=NOW)


def texts(file: bytes, tag: str) -> list[str]:
    return [node.text for node in etree.fromstring(file).iter("{*}" + tag)]


def test_a_debit_names_mandate_creditor_day_and_reference():
    file = debits()

    assert texts(file, "MsgId") == ["RHS-D-1"]
    assert texts(file, "CreDtTm") == ["2026-11-02T09:30:00"]
    assert texts(file, "InstdAmt") == ["1459.07"]
    assert texts(file, "IBAN") == ["DE89370400440532013000", "NL91ABNA0417164300"]
    assert (texts(file, "MndtId"), texts(file, "DtOfSgntr")) == (["M-17"], ["2026-03-01"])
    assert (texts(file, "SeqTp"), texts(file, "ReqdColltnDt")) == (["FRST"], ["2026-11-16"])
    assert texts(file, "EndToEndId") == ["RHS-2026-000017"]
    assert texts(file, "Ustrd") == ["Rechnung RHS-2026-000017 fur Oktober"]
    assert texts(file, "Nm")[-1] == "Ostwind Spedition Sohne AG"


def test_debits_are_grouped_by_day_and_sequence_and_summed_to_the_cent():
    file = debits(
        DEBIT,
        replace(DEBIT, end_to_end_id="RHS-2", amount=Decimal("0.03")),
        replace(DEBIT, end_to_end_id="RHS-3", sequence=DebitSequence.RECURRENT),
        creditor=replace(CREDITOR, scheme=DebitScheme.B2B),
    )

    assert texts(file, "NbOfTxs") == ["3", "2", "1"]
    assert texts(file, "CtrlSum") == ["2918.17", "1459.10", "1459.07"]
    assert texts(file, "PmtInfId") == ["RHS-D-1-1", "RHS-D-1-2"]
    assert set(texts(file, "Cd")) >= {"SEPA", "B2B"}


def test_a_transfer_sends_what_a_credit_note_owes():
    file = transfers(TRANSFER, replace(TRANSFER, end_to_end_id="RHS-2", amount=Decimal(100)))

    assert texts(file, "CtrlSum")[0] == "123.80"
    assert texts(file, "InstdAmt") == ["23.80", "100.00"]
    assert texts(file, "EndToEndId") == ["RHS-2026-000018", "RHS-2"]
    assert texts(file, "Dt") == ["2026-11-04"]


def test_a_file_that_is_made_again_is_the_same_file():
    assert debits() == debits()
    assert transfers() == transfers()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"amount": Decimal(0)}, "EUR 0 cannot be paid"),
        ({"amount": Decimal(-1)}, "EUR -1 cannot be paid"),
        ({"amount": Decimal("1.005")}, "EUR 1.005 cannot be paid"),
        ({"amount": Decimal(1000000000)}, "cannot be paid"),
        ({"end_to_end_id": "x" * 36}, "cannot be the reference"),
        ({"end_to_end_id": "Ä 1"}, "cannot be the reference"),
        ({"end_to_end_id": ""}, "cannot be the reference"),
        ({"remittance": "&&"}, "remittance information is missing"),
    ],
)
def test_what_no_bank_would_take_is_refused(fields, sentence):
    for make in (lambda: debits(replace(DEBIT, **fields)), lambda: transfers(replace(TRANSFER, **fields))):
        with pytest.raises(PaymentFileRefused) as refusal:
            make()

        assert sentence in str(refusal.value)


def test_an_account_a_mandate_and_an_empty_file_are_refused():
    with pytest.raises(IbanInvalid):
        transfers(debtor=replace(OURS, iban="DE88370400440532013000"))
    with pytest.raises(PaymentFileRefused, match="cannot be the mandate"):
        debits(replace(DEBIT, mandate=replace(DEBIT.mandate, reference="M 17")))
    with pytest.raises(PaymentFileRefused, match="cannot be the message's id"):
        debits(message_id="x y")
    with pytest.raises(PaymentFileRefused, match="nothing to pay"):
        transfer_file(OURS, (), message_id="RHS-T-1", now=NOW)
