"""A manager trusts a root for Plug & Charge by a file, and trusts it no more."""

from __future__ import annotations

import ssl

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from bookings.rules.content_version import version_of
from depots.models import Membership, TrustedRoot
from depots.operations import trusted_roots
from depots.operations.trusted_roots import LARGEST_FILE
from tests.bookings.people import client_of
from tests.contract_certificates import EMAID, authorities, issue
from tests.factories import make_depot, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


def with_unreadable_name(pem: str) -> str:
    """Its signature is wrong as well, which nobody asks of a root."""
    der = ssl.PEM_cert_to_DER_cert(pem)
    return ssl.DER_cert_to_PEM_cert(der.replace(b"V2G Root", b"V2G \xff\xfe\xfd\xfc"))


def test_a_root_is_trusted_by_its_file_and_trusted_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    root, sub = authorities()
    operator = make_depot().operator
    manager = client_of(make_user(operator, Membership.Role.DEPOT_MANAGER))

    def add(content: str) -> tuple[int, str]:
        file = SimpleUploadedFile("root.pem", content.encode())
        answer = manager.post(f"/plug-and-charge/{operator.pk}/roots/", {"file": file})
        return answer.status_code, answer.content.decode()

    refused = {
        "no certificate": "no certificate of an authority in PEM",
        with_unreadable_name(root.pem): "no certificate of an authority in PEM",
        "é": "which is text",
        root.pem + sub.pem: "The file has 2 certificates",
        issue(EMAID, sub, is_authority=False).pem: "may not issue others",
        "x" * (LARGEST_FILE + 1): "larger than 100 kB",
    }
    for content, words in refused.items():
        status, page = add(content)
        assert (status, words in page) == (422, True), words

    assert [add(root.pem)[0], add(root.pem)[0]] == [302, 302]
    monkeypatch.setattr(trusted_roots, "MOST_ROOTS", 1)
    assert "trusts 1 root already" in add(issue("Another root").pem)[1]
    assert add(root.pem)[0] == 302
    [kept] = TrustedRoot.objects.all()
    page = manager.get("/plug-and-charge/").content.decode()
    assert ("V2G Root" in page, kept.fingerprint[:16] in page) == (True, True)
    manager.post(f"/plug-and-charge/roots/{kept.pk}/removal/", {"version": version_of(kept)})
    assert "None yet." in manager.get("/plug-and-charge/").content.decode()
