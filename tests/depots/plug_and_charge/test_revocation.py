"""Whether a certificate was revoked: asked of its responder, believed only where it is signed, kept until it says so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from pytest_django import Settings

from depots.plug_and_charge.chain import LONGEST_CHAIN, hash_of
from depots.plug_and_charge.revocation import (
    NotAnswered,
    OcspResponders,
    RevocationQuestion,
    is_any_revoked,
    questions_of,
    read_answer,
)
from tests.contract_certificates import EMAID, Responder, authorities, issue, ocsp_answer, running_responder
from tests.factories import NOW

ROOT, SUB = authorities()
CONTRACT = issue(EMAID, SUB, is_authority=False, ocsp_url="http://ocsp.example/")
NAMED = hash_of(CONTRACT.certificate, SUB.certificate, "SHA256")


@pytest.fixture
def responder(settings: Settings) -> Iterator[Responder]:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = True
    with running_responder() as responder:
        yield responder


def question(url: str) -> RevocationQuestion:
    return RevocationQuestion(NAMED, (url,), SUB.certificate)


def test_an_answer_is_kept_until_its_next_update(responder: Responder) -> None:
    responder.answers[CONTRACT.certificate.serial_number] = ocsp_answer(CONTRACT, SUB)
    service = OcspResponders()

    for minutes in (0, 59, 61):
        if minutes == 61:
            later = NOW + timedelta(hours=3)
            told = ocsp_answer(CONTRACT, SUB, is_revoked=True, next_update=later)
            responder.answers[CONTRACT.certificate.serial_number] = told
        answer = asyncio.run(service.ask(question(responder.url), now=NOW + timedelta(minutes=minutes)))

    assert answer.verdict == "revoked"
    assert len(responder.asked) == 2


def test_what_nobody_could_check_is_kept_for_nobody_who_can(responder: Responder) -> None:
    """A charger may name any responder: what that says of a hash alone must not decide about a contract that is shown."""
    stranger = issue("Somebody")
    serial = CONTRACT.certificate.serial_number
    responder.answers[serial] = forged = ocsp_answer(CONTRACT, SUB, by=stranger, is_revoked=True)
    service = OcspResponders()

    told = asyncio.run(service.ask(RevocationQuestion(NAMED, (responder.url,)), now=NOW))
    responder.answers[serial] = signed = ocsp_answer(CONTRACT, SUB)
    shown = asyncio.run(service.ask(question(responder.url), now=NOW))
    elsewhere = RevocationQuestion(NAMED, ("http://127.0.0.1:1/other",))
    checked = asyncio.run(service.ask(elsewhere, now=NOW))

    assert (told.verdict, told.raw) == ("revoked", forged)
    assert (shown.verdict, shown.raw) == ("good", signed)
    assert checked.raw == signed


def test_a_charger_cannot_have_us_ask_about_more_than_a_chain(responder: Responder) -> None:
    told = [
        RevocationQuestion(replace(NAMED, serial_number=f"{number:X}"), (responder.url,))
        for number in range(1, 50)
    ]

    assert not asyncio.run(is_any_revoked(told, now=NOW))

    assert len(responder.asked) <= LONGEST_CHAIN


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (ocsp_answer(CONTRACT, SUB, by=ROOT), "relied on"),  # signed by somebody else
        (ocsp_answer(issue(EMAID, SUB), SUB), "another certificate"),
        (ocsp_answer(CONTRACT, SUB, next_update=NOW), "out of date"),
        (b"no answer", "relied on"),
    ],
    ids=range(4),
)
def test_what_cannot_be_relied_on_is_no_answer(raw: bytes, why: str) -> None:
    with pytest.raises(NotAnswered, match=why):
        read_answer(raw, question(""), now=NOW)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "http://a@b/",
        "http://127.0.0.1:1/",
    ],
)
def test_a_charger_sends_us_to_no_machine_beside_us(settings: Settings, url: str) -> None:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = False

    with pytest.raises(NotAnswered):
        asyncio.run(OcspResponders().ask(question(url), now=NOW))


def test_each_certificate_below_the_root_is_asked_about_where_somebody_says_of_whom() -> None:
    links = [(CONTRACT.certificate, SUB.certificate), (SUB.certificate, ROOT.certificate)]
    told = [
        RevocationQuestion(hash_of(SUB.certificate, ROOT.certificate, "SHA512"), ("http://root.example/",))
    ]

    assert [each.urls for each in questions_of(links, told)] == [
        ("http://ocsp.example/",),
        ("http://root.example/",),
    ]
    assert [each.urls for each in questions_of(links, [])] == [("http://ocsp.example/",)]
    assert questions_of([], told) == told
