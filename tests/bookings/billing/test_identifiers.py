import pytest

from bookings.billing.errors import CreditorIdInvalid, IbanInvalid, VatIdInvalid
from bookings.billing.identifiers import checked_creditor_id, checked_iban, checked_vat_id, vat_country


@pytest.mark.parametrize(
    ("text", "compact", "country"),
    [
        ("de 136 695 976", "DE136695976", "DE"),
        ("EL 094259216", "EL094259216", "GR"),
        ("CHE-107.787.577 MWST", "CHE107787577MWST", "CH"),
        ("NO 995 525 828 MVA", "NO995525828MVA", "NO"),
        ("GB 980 7806 84", "GB980780684", "GB"),
    ],
)
def test_vat_ids_are_kept_without_what_people_put_between(text, compact, country):
    assert checked_vat_id(text) == compact
    assert vat_country(text) == country


@pytest.mark.parametrize(
    "text",
    [
        "DE136695977",
        "DE13669597",
        "136695976",
        "",
        "GR094259216",
        "US123",
        "CHE107787578MWST",
        "NO995525829MVA",
    ],
)
def test_a_vat_id_with_a_wrong_digit_or_form_is_refused(text):
    with pytest.raises(VatIdInvalid, match="is no VAT id"):
        checked_vat_id(text)


def test_an_iban_is_checked_by_its_digits():
    assert checked_iban("de89 3704 0044 0532 0130 00") == "DE89370400440532013000"
    for text in ("DE88370400440532013000", "DE8937040044053201300", ""):
        with pytest.raises(IbanInvalid, match="is no IBAN"):
            checked_iban(text)


def test_a_creditor_id_is_checked_by_its_digits():
    assert checked_creditor_id("de98 zzz0 9999 9999 99") == "DE98ZZZ09999999999"
    assert checked_creditor_id("DE98ABC09999999999") == "DE98ABC09999999999"
    for text in ("DE97ZZZ09999999999", "DE98ZZZ", ""):
        with pytest.raises(CreditorIdInvalid, match="no SEPA creditor identifier"):
            checked_creditor_id(text)
