"""A contract's chain, checked as far as a central system can."""

from __future__ import annotations

import random
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from depots.plug_and_charge.chain import CertificateStatus, check_chain, hash_of
from tests.contract_certificates import EMAID, Issued, authorities, issue
from tests.factories import NOW

ROOT, SUB = authorities()
CONTRACT = issue(EMAID, SUB, is_authority=False)
OTHER_ROOT = issue("V2G Root")


def status(*chain: Issued, emaid: str = EMAID, roots: tuple[Issued, ...] = (ROOT,), **told: object) -> str:
    pem = "".join(each.pem for each in chain)
    trusted = [root.certificate for root in roots]
    return check_chain(pem, emaid=emaid, roots=trusted, now=NOW, **told).status  # type: ignore[arg-type]


def test_a_chain_of_any_bytes_gets_an_answer() -> None:
    whole = CONTRACT.certificate.public_bytes(Encoding.DER)
    chance = random.Random(8)

    for _ in range(1500):
        shown = bytearray(whole)
        shown[chance.randrange(len(shown))] = chance.choice([0, 3, 12, 19, 30, 255, chance.randrange(256)])
        pem = (
            f"-----BEGIN CERTIFICATE-----\n{b64encode(shown).decode()}\n-----END CERTIFICATE-----\n{SUB.pem}"
        )
        assert check_chain(pem, emaid=EMAID, roots=[ROOT.certificate], now=NOW).status in CertificateStatus


def test_a_chain_that_ends_at_a_trusted_root_is_accepted() -> None:
    checked = check_chain(
        CONTRACT.pem + SUB.pem, emaid="DE-83D-UIEN83QGZ-D", roots=[ROOT.certificate], now=NOW,
        told=[hash_of(CONTRACT.certificate, SUB.certificate, "SHA384")],
    )  # fmt: skip

    assert checked.status == "Accepted"
    assert [link[0] for link in checked.links] == [CONTRACT.certificate, SUB.certificate]
    assert status(CONTRACT, SUB, ROOT, roots=(OTHER_ROOT, ROOT)) == "Accepted"


@pytest.mark.parametrize(
    ("chain", "verdict"),
    [
        ((CONTRACT,), "CertChainError"),  # the authority between is missing
        ((CONTRACT, SUB), "Accepted"),
        ((issue(EMAID, SUB, key_by=ROOT, is_authority=False), SUB), "SignatureError"),
        ((CONTRACT, issue("MO Sub CA", ROOT, key_by=OTHER_ROOT)), "SignatureError"),
        ((issue(EMAID, SUB, is_authority=False, days=-1), SUB), "CertificateExpired"),
        ((issue("DE83DUIEN83QGX", SUB, is_authority=False), SUB), "CertChainError"),  # another's contract
        ((issue(EMAID, CONTRACT), CONTRACT, SUB), "CertChainError"),  # a contract issues nothing
        ((issue(EMAID),), "CertChainError"),  # signed by itself
    ],
    ids=range(8),
)
def test_what_is_wrong_with_a_chain(chain: tuple[Issued, ...], verdict: str) -> None:
    assert status(*chain) == verdict


def test_a_root_of_the_same_name_with_another_key_is_no_root() -> None:
    assert status(CONTRACT, SUB, roots=(OTHER_ROOT,)) == "SignatureError"
    assert status(CONTRACT, SUB, roots=()) == "CertChainError"
    past = issue("V2G Root 1", days=-2)
    assert status(issue(EMAID, past, is_authority=False), roots=(past,)) == "CertificateExpired"


@pytest.mark.parametrize(
    "pem", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_what_is_no_certificate_is_none(pem: str) -> None:
    assert check_chain(pem, emaid=EMAID, roots=[], now=NOW).status == CertificateStatus.NOT_AVAILABLE


def test_hash_data_must_name_what_was_shown() -> None:
    right = hash_of(CONTRACT.certificate, SUB.certificate, "SHA256")

    assert (
        status(CONTRACT, SUB, told=[replace(right, serial_number="0" + right.serial_number.lower())])
        == "Accepted"
    )
    for wrong in (
        {"serial_number": "17"},
        {"serial_number": "?"},
        {"issuer_key_hash": "ab"},
        {"algorithm": "MD5"},
    ):
        assert status(CONTRACT, SUB, told=[right, replace(right, **wrong)]) == "CertChainError"


def test_a_certificate_is_judged_at_its_moment() -> None:
    later = NOW + timedelta(days=31)
    checked = check_chain(CONTRACT.pem + SUB.pem, emaid=EMAID, roots=[ROOT.certificate], now=later)

    assert checked.status == "CertificateExpired"
