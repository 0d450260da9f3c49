import hashlib
import json
import re
from pathlib import Path

import pytest

from frontend import tabler

ROOT = Path(__file__).resolve().parents[1]
VENDOR = ROOT / "static/vendor"
MANIFEST: dict[str, str] = json.loads((VENDOR / "manifest.json").read_text())


@pytest.mark.parametrize("name", sorted(MANIFEST))
def test_a_vendored_file_is_the_one_that_was_reviewed(name: str) -> None:
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == MANIFEST[name]


def test_pages_are_written_in_characters_that_the_font_has() -> None:
    """Any other comes from whatever the machine has, or is a box."""
    css = (ROOT / "static/css/berth.css").read_text(encoding="utf-8")
    has: set[int] = set()
    for first, last in re.findall(r"U\+([0-9A-F]+)(?:-([0-9A-F]+))?", css):
        has.update(range(int(first, 16), int(last or first, 16) + 1))
    found = {
        (str(page.relative_to(ROOT)), sign)
        for page in (ROOT / "templates").rglob("*.html")
        for sign in page.read_text(encoding="utf-8")
    }

    assert {(page, sign) for page, sign in found if ord(sign) not in has} == set()


def test_nothing_unlisted_is_shipped() -> None:
    found = {str(p.relative_to(VENDOR)) for p in VENDOR.rglob("*") if p.is_file()}

    assert found - {"manifest.json"} == set(MANIFEST)


def test_the_pages_load_what_they_use_of_tabler() -> None:
    assert tabler.PART.read_text(encoding="utf-8") == tabler.current(), "Run make css"


@pytest.mark.parametrize(
    ("css", "kept"),
    [
        (".card{a:b}.carousel{a:b}", ".card{a:b}"),
        (".card .carousel,.card:not(.carousel){a:b}", ".card:not(.carousel){a:b}"),
        (
            "@media (min-width:1px){.carousel{a:b}}@media print{.card{a:b}.carousel{a:b}}",
            "@media print{.card{a:b}}",
        ),
        (":root{--x:1;--y:var(--x);--z:2}.card{a:var(--y)}", ":root{--x:1;--y:var(--x)}.card{a:var(--y)}"),
        (
            "@keyframes spin{to{a:b}}@keyframes fade{to{a:b}}.card{animation:1s spin}",
            "@keyframes spin{to{a:b}}.card{animation:1s spin}",
        ),
        ('.card{a:url("data:x;{y}")}.carousel{a:";"}', '.card{a:url("data:x;{y}")}'),
        ("[data-bs-theme=dark] .card{a:b}h1{a:b}", "h1{a:b}"),
    ],
)
def test_a_rule_stays_when_a_page_may_use_it(css: str, kept: str) -> None:
    assert tabler.subset(css, {"card"}).strip() == kept


def test_the_front_end_lock_names_no_address_and_no_loose_version() -> None:
    lock = (ROOT / "frontend/package-lock.json").read_text()
    pins = json.loads((ROOT / "frontend/package.json").read_text())["devDependencies"].values()

    assert '"resolved"' not in lock
    assert all(pin[0].isdigit() for pin in pins)


def test_every_icon_asked_for_is_in_the_sprite() -> None:
    sprite = (VENDOR / "icons/sprite.svg").read_text()
    wanted = (ROOT / "frontend/icons.txt").read_text().split()

    assert wanted
    assert [name for name in wanted if f'id="{name}"' not in sprite] == []
