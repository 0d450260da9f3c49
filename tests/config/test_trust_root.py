"""`manage.py trust_root`: the authorities whose contracts an operator's chargers take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.commands import refusal, run
from tests.contract_certificates import EMAID, authorities, issue
from tests.factories import make_operator

pytestmark = pytest.mark.django_db


def test_a_root_is_trusted_listed_and_trusted_no_more(tmp_path: Path) -> None:
    root, sub = authorities()
    make_operator("Ladepark")
    file = tmp_path / "root.pem"
    for text, words in ((issue(EMAID, sub, is_authority=False).pem, "may not issue"), ("no", "in PEM")):
        file.write_text(text)
        assert words in refusal("trust_root", str(file), "--operator", "Ladepark")
    file.write_text(root.pem)

    [made] = run("trust_root", str(file), "--operator", "Ladepark")
    [again] = run("trust_root", str(file), "--operator", "Ladepark")

    assert (made["name"], made["created"], again["created"]) == ("CN=V2G Root", True, False)
    assert [each["fingerprint"] for each in run("trust_root", "--operator", "Ladepark")] == [
        made["fingerprint"]
    ]
    assert "no one root" in refusal("trust_root", "--operator", "Ladepark", "--remove", "00000000")
    [gone] = run("trust_root", "--operator", "Ladepark", "--remove", made["fingerprint"][:8])
    assert (gone["removed"], run("trust_root", "--operator", "Ladepark")) == (True, [])
