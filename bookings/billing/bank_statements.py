"""What a bank says has been paid: camt.053 (statement) and camt.054 (advice) of ISO 20022, in all their versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from bookings.billing.errors import DocumentUnreadable
from bookings.billing.untrusted_xml import Node, parse

MOST_ENTRIES: Final = 100_000
_ROOT: Final = re.compile(r"\{(urn:iso:std:iso:20022:tech:xsd:camt\.05[34]\.001\.\d\d)\}Document")
# Bank transaction codes: an unpaid direct debit, a debit or transfer called back, a transfer that was returned.
_REVERSALS: Final = frozenset({"UPDD", "RCDD", "PRDD", "RPCR", "RRTN"})
_NO_REASON: Final = "MS03"
_STATEMENTS: Final = ("s:BkToCstmrStmt/s:Stmt", "s:BkToCstmrDbtCdtNtfctn/s:Ntfctn")


@dataclass(frozen=True)
class BankEntry:
    """Money that came to an account of ours, or left it (`amount` below zero).

    `id` is the same when the bank tells of the same movement again. `end_to_end_id` is what the payer or our own file
    called it, `remittance` the words of the payer. `return_reason` (AC04, MD06 …) tells that a debit or a transfer came back.
    """

    id: str
    account: str
    booked_on: date
    amount: Decimal
    currency: str
    end_to_end_id: str
    remittance: str
    other_name: str
    other_iban: str
    return_reason: str


def read_statement(file: bytes) -> list[BankEntry]:
    """All entries that are booked, each payment of a batch by itself. Raises DocumentUnreadable."""
    root = parse(file, {})
    found = _ROOT.fullmatch(root.tag)
    if found is None:
        raise DocumentUnreadable("The file is no bank statement in camt.053 or camt.054.")
    root = Node(root.element, {"s": found[1]})
    entries: list[BankEntry] = []
    for path in _STATEMENTS:
        for statement in root.all(path):
            entries += _entries_of(statement)
    return entries


def _entries_of(statement: Node) -> Iterator[BankEntry]:
    account = statement.text("s:Acct/s:Id/s:IBAN", needed="account's IBAN")
    statement_id = statement.text("s:Id", needed="number of the statement")
    for place, entry in enumerate(statement.all("s:Ntry"), 1):
        if place > MOST_ENTRIES:
            raise DocumentUnreadable(f"The statement has more than {MOST_ENTRIES} entries.")
        # Up to version 7 the status is the element's text, later a code within.
        if (entry.text("s:Sts/s:Cd") or entry.text("s:Sts")) == "BOOK":
            yield from _movements(entry, account, f"{statement_id}/{place}")


def _movements(entry: Node, account: str, place: str) -> Iterator[BankEntry]:
    """The payments of a batch where the bank says what each came to, else the entry as a whole."""
    total = entry.amount("s:Amt", "amount of an entry")
    details = list(entry.all("s:NtryDtls/s:TxDtls"))
    amounts = [_amount(detail) for detail in details]
    reference = entry.text("s:AcctSvcrRef")
    if len(details) < 2 or None in amounts or sum(filter(None, amounts)) != total:
        yield _movement(entry, details[0] if details else entry, total, account, reference or place)
        return
    for number, (detail, amount) in enumerate(zip(details, amounts, strict=True), 1):
        own = detail.text("s:Refs/s:AcctSvcrRef")
        own = own if own and own != reference else f"{reference or place}/{number}"
        yield _movement(entry, detail, amount or total, account, own)


def _amount(detail: Node) -> Decimal | None:
    for path in ("s:Amt", "s:AmtDtls/s:TxAmt/s:Amt"):
        if detail.text(path):
            return detail.amount(path, "amount of a payment")
    return None


def _movement(entry: Node, detail: Node, amount: Decimal, account: str, reference: str) -> BankEntry:
    direction = entry.text("s:CdtDbtInd", needed="direction of an entry")
    booked_on = entry.date("s:BookgDt/s:Dt", "day of an entry") or entry.date(
        "s:BookgDt/s:DtTm", "day of an entry"
    )
    if booked_on is None or direction not in ("CRDT", "DBIT"):
        raise DocumentUnreadable("An entry of the statement does not say when it was booked, or which way.")
    came_in = direction == "CRDT"
    return_reason = _return_reason(entry, detail)
    # Details of what came back name the parties of what had been sent.
    other = "s:RltdPties/s:Dbtr" if came_in != bool(return_reason) else "s:RltdPties/s:Cdtr"
    end_to_end_id = detail.text("s:Refs/s:EndToEndId")
    currency = entry.first("s:Amt")
    return BankEntry(
        id=f"{account}/{reference}",
        account=account,
        booked_on=booked_on,
        amount=amount if came_in else -amount,
        currency=currency.element.get("Ccy", "") if currency else "",
        end_to_end_id="" if end_to_end_id == "NOTPROVIDED" else end_to_end_id,
        remittance=_remittance(detail),
        other_name=detail.text(f"{other}/s:Pty/s:Nm") or detail.text(f"{other}/s:Nm"),
        other_iban=detail.text(f"{other}Acct/s:Id/s:IBAN"),
        return_reason=return_reason,
    )


def _return_reason(entry: Node, detail: Node) -> str:
    """Banks that name no reason tell by the kind of movement, or by a mark, that it reverses another."""
    told = detail.text("s:RtrInf/s:Rsn/s:Cd") or detail.text("s:RtrInf/s:Rsn/s:Prtry")
    kinds = {node.text("s:BkTxCd/s:Domn/s:Fmly/s:SubFmlyCd") for node in (entry, detail)}
    is_reversal = entry.text("s:RvslInd") in {"true", "1"} or not kinds.isdisjoint(_REVERSALS)
    return told or (_NO_REASON if is_reversal else "")


def _remittance(detail: Node) -> str:
    """The payer's words in one line, and the reference of a structured remittance; compare without blanks."""
    words = [node.text(".") for node in detail.all("s:RmtInf/s:Ustrd")]
    structured = detail.text("s:RmtInf/s:Strd/s:CdtrRefInf/s:Ref")
    return " ".join(filter(None, [*words, structured]))
