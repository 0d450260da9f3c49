"""Files for a bank in SEPA: direct debits (pain.008.001.08) and transfers (pain.001.001.09). Pure; what the bank says
afterwards is read by `bank_statements.py`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib.resources import as_file, files
from typing import Any, Final

from lxml import etree
from sepaxml import SepaDD, SepaTransfer
from text_unidecode import unidecode

from bookings.billing.errors import PaymentFileRefused
from bookings.billing.identifiers import checked_creditor_id, checked_iban

DEBIT_SCHEMA: Final = "pain.008.001.08"
TRANSFER_SCHEMA: Final = "pain.001.001.09"
MOST: Final = Decimal("999999999.99")
# EPC217-08: what every bank has to take; ids hold no blanks here, so that they come back as they were sent.
_NOT_IN_TEXT: Final = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]")
_ID: Final = re.compile(r"[A-Za-z0-9+?:().,'\-][A-Za-z0-9/+?:().,'\-]{0,34}")


class DebitSequence(StrEnum):
    """Which debit of its mandate it is."""

    FIRST = "FRST"
    RECURRENT = "RCUR"
    ONE_OFF = "OOFF"
    FINAL = "FNAL"


class DebitScheme(StrEnum):
    """CORE debits can be returned for eight weeks; B2B ones not, and the debtor's bank must know the mandate."""

    CORE = "CORE"
    B2B = "B2B"


@dataclass(frozen=True)
class BankAccount:
    """Whose account it is and which; amounts of every file are in euros, as SEPA knows nothing else."""

    name: str
    iban: str


@dataclass(frozen=True)
class Mandate:
    """A debtor's leave to take money from an account, given to one creditor once."""

    reference: str
    signed_on: date
    debtor: BankAccount


@dataclass(frozen=True)
class Debit:
    """What is taken by a mandate. `end_to_end_id` (an invoice's number) comes back on the bank's statement."""

    end_to_end_id: str
    amount: Decimal
    mandate: Mandate
    sequence: DebitSequence
    collect_on: date
    remittance: str


@dataclass(frozen=True)
class Transfer:
    """What is sent to an account."""

    end_to_end_id: str
    amount: Decimal
    to: BankAccount
    execute_on: date
    remittance: str


@dataclass(frozen=True)
class Creditor:
    """Who takes money by direct debit; `creditor_id` is the one that its central bank gave it."""

    account: BankAccount
    creditor_id: str
    scheme: DebitScheme = DebitScheme.CORE


def direct_debit_file(
    creditor: Creditor, debits: Sequence[Debit], *, message_id: str, now: datetime
) -> bytes:
    """A pain.008 file. Raises PaymentFileRefused or IbanInvalid.

    The same `message_id` is refused by the bank as the same file: take one that is kept with the debits.
    """
    config = _config(creditor.account) | {
        "creditor_id": checked_creditor_id(creditor.creditor_id),
        "instrument": creditor.scheme.value,
    }
    file = SepaDD(config, schema=DEBIT_SCHEMA, clean=True)
    for debit in debits:
        file.add_payment(
            _payment(debit, debit.mandate.debtor)
            | {
                "type": debit.sequence.value,
                "collection_date": debit.collect_on,
                "mandate_id": _checked_id(debit.mandate.reference, "mandate"),
                "mandate_date": debit.mandate.signed_on,
            }
        )
    return _finished(file.export, debits, message_id=message_id, now=now, schema=DEBIT_SCHEMA)


def transfer_file(
    debtor: BankAccount, transfers: Sequence[Transfer], *, message_id: str, now: datetime
) -> bytes:
    """A pain.001 file. Raises PaymentFileRefused or IbanInvalid. For `message_id` see `direct_debit_file`."""
    file = SepaTransfer(_config(debtor), schema=TRANSFER_SCHEMA, clean=True)
    for transfer in transfers:
        file.add_payment(_payment(transfer, transfer.to) | {"execution_date": transfer.execute_on})
    return _finished(file.export, transfers, message_id=message_id, now=now, schema=TRANSFER_SCHEMA)


def _config(account: BankAccount) -> dict[str, Any]:
    return {
        "name": _plain(account.name, 70, "name of the account's owner"),
        "IBAN": checked_iban(account.iban),
        "batch": True,
        "currency": "EUR",
    }


def _payment(payment: Debit | Transfer, other: BankAccount) -> dict[str, Any]:
    if not 0 < payment.amount <= MOST or payment.amount * 100 % 1:
        raise PaymentFileRefused(f"{payment.end_to_end_id}: EUR {payment.amount} cannot be paid by SEPA.")
    return {
        "name": _plain(other.name, 70, "name"),
        "IBAN": checked_iban(other.iban),
        "amount": int(payment.amount * 100),
        "description": _plain(payment.remittance, 140, "remittance information"),
        "endtoend_id": _checked_id(payment.end_to_end_id, "reference"),
    }


def _plain(words: str, longest: int, what: str) -> str:
    """In the signs that every bank takes: ä becomes a, & a blank."""
    plain = " ".join(_NOT_IN_TEXT.sub(" ", unidecode(words)).split())[:longest]
    if not plain:
        raise PaymentFileRefused(f"The {what} is missing.")
    return plain


def _checked_id(text: str, what: str) -> str:
    if not _ID.fullmatch(text) or "//" in text or text.endswith("/"):
        raise PaymentFileRefused(
            f"“{text[:50]}” cannot be the {what} in a SEPA file: 35 plain signs at most."
        )
    return text


def _finished(
    export: Callable[..., bytes], payments: Iterable[Any], *, message_id: str, now: datetime, schema: str
) -> bytes:
    """With ids and time of ours instead of the library's chance and clock: made again, it is the same file."""
    if not payments:
        raise PaymentFileRefused("There is nothing to pay.")
    root = etree.fromstring(export(validate=False))
    space = f"{{urn:iso:std:iso:20022:tech:xsd:{schema}}}"
    root.find(f".//{space}MsgId").text = _checked_id(message_id, "message's id")
    root.find(f".//{space}CreDtTm").text = f"{now:%Y-%m-%dT%H:%M:%S}"
    for number, group in enumerate(root.iter(f"{space}PmtInfId"), 1):
        group.text = f"{message_id[:30]}-{number}"
    rules = _schema(schema)
    if not rules.validate(root):
        raise PaymentFileRefused(f"The file would break {schema}: {rules.error_log.last_error.message}")
    finished: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return finished


@cache
def _schema(name: str) -> Any:
    with as_file(files("sepaxml") / "schemas" / f"{name}.xsd") as path:
        return etree.XMLSchema(file=str(path))
