from datetime import date
from decimal import Decimal

import pytest

from bookings.billing.bank_statements import BankEntry, read_statement
from bookings.billing.errors import DocumentUnreadable

ACCOUNT = "DE89370400440532013000"
DETAIL = """<TxDtls><Refs><EndToEndId>{ref}</EndToEndId></Refs>{amount}
  <RltdPties><Dbtr>{debtor}</Dbtr><DbtrAcct><Id><IBAN>NL91ABNA0417164300</IBAN></Id></DbtrAcct>
    <Cdtr>{creditor}</Cdtr><CdtrAcct><Id><IBAN>DE89370400440532013000</IBAN></Id></CdtrAcct></RltdPties>
  <RmtInf>{remittance}</RmtInf>{returned}</TxDtls>"""


def detail(
    ref: str = "NOTPROVIDED", *, amount: str = "", words: str = "", returned: str = "", new: bool = True
) -> str:
    def name(of: str) -> str:
        return f"<Pty><Nm>{of}</Nm></Pty>" if new else f"<Nm>{of}</Nm>"

    old_amount = f'<AmtDtls><TxAmt><Amt Ccy="EUR">{amount}</Amt></TxAmt></AmtDtls>'
    amounts = f'<Amt Ccy="EUR">{amount}</Amt>' if new else old_amount
    return DETAIL.format(
        ref=ref,
        amount=amounts if amount else "",
        debtor=name("Ostwind Spedition AG"),
        creditor=name("Rheinstrom Ladeparks GmbH"),
        remittance=words,
        returned=f"<RtrInf><Rsn><Cd>{returned}</Cd></Rsn></RtrInf>" if returned else "",
    )


def entry(
    amount: str, details: str = "", *, way: str = "CRDT", status: str = "<Cd>BOOK</Cd>", ref: str = ""
) -> str:
    reference = f"<AcctSvcrRef>{ref}</AcctSvcrRef>" if ref else ""
    return f"""<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{way}</CdtDbtInd><Sts>{status}</Sts>
      <BookgDt><Dt>2026-11-17</Dt></BookgDt>{reference}<NtryDtls>{details}</NtryDtls></Ntry>"""


def statement(*entries: str, version: str = "053.001.08") -> bytes:
    outer, inner = ("BkToCstmrStmt", "Stmt") if version[:3] == "053" else ("BkToCstmrDbtCdtNtfctn", "Ntfctn")
    return f"""<?xml version="1.0" encoding="UTF-8"?>
      <Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{version}"><{outer}><{inner}><Id>ST-9</Id>
      <Acct><Id><IBAN>{ACCOUNT}</IBAN></Id></Acct>{"".join(entries)}</{inner}></{outer}></Document>""".encode()


def test_a_payment_is_read_with_who_paid_and_what_for():
    words = "<Ustrd>Rechnung RHS-2026-</Ustrd><Ustrd>000017</Ustrd>"

    assert read_statement(statement(entry("1459.07", detail(words=words), ref="B-1"))) == [
        BankEntry(
            id=f"{ACCOUNT}/B-1",
            account=ACCOUNT,
            booked_on=date(2026, 11, 17),
            amount=Decimal("1459.07"),
            currency="EUR",
            end_to_end_id="",
            remittance="Rechnung RHS-2026- 000017",
            other_name="Ostwind Spedition AG",
            other_iban="NL91ABNA0417164300",
            return_reason="",
        )
    ]


@pytest.mark.parametrize("version", ["053.001.02", "054.001.02", "053.001.08", "054.001.08"])
def test_each_debit_of_a_batch_is_an_entry_in_old_and_new_versions(version):
    new = version.endswith("08")
    details = detail("RHS-17", amount="10.00", new=new) + detail("RHS-18", amount="4.88", new=new)
    status = "<Cd>BOOK</Cd>" if new else "BOOK"

    entries = read_statement(statement(entry("14.88", details, status=status), version=version))

    assert [(each.id, each.end_to_end_id, each.amount) for each in entries] == [
        (f"{ACCOUNT}/ST-9/1/1", "RHS-17", Decimal("10.00")),
        (f"{ACCOUNT}/ST-9/1/2", "RHS-18", Decimal("4.88")),
    ]
    assert {each.other_name for each in entries} == {"Ostwind Spedition AG"}


def test_a_batch_whose_parts_do_not_add_up_stays_one_entry():
    details = detail("RHS-17", amount="10.00") + detail("RHS-18", amount="4.00")

    assert [each.amount for each in read_statement(statement(entry("14.88", details)))] == [Decimal("14.88")]
    unsaid = detail("RHS-17") + detail("RHS-18")
    assert [each.amount for each in read_statement(statement(entry("14.88", unsaid)))] == [Decimal("14.88")]


def test_a_debit_that_came_back_says_whose_and_why():
    (returned,) = read_statement(statement(entry("14.88", detail("RHS-17", returned="AC04"), way="DBIT")))

    assert (returned.amount, returned.end_to_end_id, returned.return_reason) == (
        Decimal("-14.88"), "RHS-17", "AC04",
    )  # fmt: skip
    assert returned.other_name == "Ostwind Spedition AG"


def test_what_leaves_is_negative_and_what_is_not_booked_yet_is_left_out():
    file = statement(
        entry("5.00", detail(), way="DBIT"), entry("7.00", status="<Cd>PDNG</Cd>"), entry("8.00")
    )

    assert [(each.amount, each.other_name) for each in read_statement(file)] == [
        (Decimal("-5.00"), "Rheinstrom Ladeparks GmbH"),
        (Decimal("8.00"), ""),
    ]


def test_the_same_statement_read_again_has_the_same_ids_and_no_two_alike():
    file = statement(*[entry("1.00", detail(amount="0.50") * 2, ref=ref) for ref in ("", "B-1", "")])

    ids = [each.id for each in read_statement(file)]

    assert ids == [each.id for each in read_statement(file)]
    assert len(set(ids)) == 6


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (b"", "no well-formed XML"),
        (statement(version="053.001.08").replace(b"camt.053", b"camt.052"), "no bank statement"),
        (statement().replace(b"IBAN", b"Othr"), "does not say its account's IBAN"),
        (statement(entry("x")), "“x” is no number"),
        (statement(entry("1.00", way="BOTH")), "which way"),
        (statement(entry("1.00")).replace(b"2026-11-17", b""), "when it was booked"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "document type of its own"),
    ],
)
def test_a_file_that_is_no_statement_is_refused_with_what_is_wrong(file, sentence):
    with pytest.raises(DocumentUnreadable) as refusal:
        read_statement(file)

    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    "mark",
    [
        "<RvslInd>true</RvslInd>",
        "<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>IDDT</Cd><SubFmlyCd>UPDD</SubFmlyCd></Fmly></Domn></BkTxCd>",
    ],
)
def test_a_bank_that_names_no_reason_tells_that_money_came_back_by_the_kind_of_movement(mark):
    told = entry("12.00", detail("INV-1"), way="DBIT").replace("<Sts>", f"{mark}<Sts>")

    [read] = read_statement(statement(told))

    assert (read.return_reason, read.other_name) == ("MS03", "Ostwind Spedition AG")
