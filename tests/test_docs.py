"""Pages that list something list all of it, and what they point at is there."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import get_commands

from bookings import errors
from bookings.billing import errors as billing_errors
from bookings.errors import BookingError
from config.demo_data.demo_depots import DEMO_PASSWORDS
from config.management.commands import demo
from depots.operations import FLAGS
from docs.pictures.album import ALBUM

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])


def names_of_constraints() -> set[str]:
    models = [
        model for app in ("depots", "bookings", "roaming") for model in apps.get_app_config(app).get_models()
    ]
    return {constraint.name for model in models for constraint in model._meta.constraints}


def test_every_constraint_is_among_the_guards_and_no_other():
    listed = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", (DOCS / "guards.md").read_text()))

    assert listed == names_of_constraints()


def test_every_test_named_by_a_page_exists():
    named = {test for page in PAGES for test in re.findall(r"`(tests/\S+?\.py)::(\w+)`", page.read_text())}

    assert len(named) > 20
    assert [f"{path}::{test}" for path, test in sorted(named) if test not in functions(path)] == []


def test_every_refusal_is_listed_with_its_field():
    rows = re.findall(
        r"^\| (`[a-z_`, ]+`) \| (?:`(\w+)` )?\|",
        (DOCS / "integrators/error-codes.md").read_text(),
        re.MULTILINE,
    )
    listed = {(code, field) for codes, field in rows for code in re.findall(r"`(\w+)`", codes)}
    refusals = [
        kind
        for _, kind in {*inspect.getmembers(errors, inspect.isclass), *inspect.getmembers(billing_errors, inspect.isclass)}
        if issubclass(kind, BookingError) and "code" in vars(kind) and kind is not BookingError
    ]  # fmt: skip

    assert listed == {(kind.code, kind.field) for kind in refusals}
    assert len({kind.code for kind in refusals}) == len(refusals)


def test_the_readme_names_every_demo_login_and_every_free_charger_with_its_password():
    readme = (ROOT / "README.md").read_text()

    assert set(re.findall(r"`(\w+@\w+\.example)`", readme)) == {email for email, _ in demo.LOGINS}
    assert dict(re.findall(r"\| `(DEMO-\d)` \|.*?\| `([\w-]+)` \|", readme)) == DEMO_PASSWORDS


def test_the_readmes_commands_run_as_written():
    shown = re.findall(r"^\s*(.*manage\.py.*?)(?:`|$)", (ROOT / "README.md").read_text(), re.MULTILINE)
    calls = [re.search(r"(\S+) manage\.py (\w+)", line) for line in shown]

    assert calls
    assert {call[1].lstrip("`") for call in calls if call} == {".venv/bin/python"}
    assert {call[2] for call in calls if call} <= set(get_commands())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(path: Path):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())

    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_decisions_are_numbered_once_and_all_in_the_index():
    numbers = [page.name[:4] for page in (DOCS / "decisions").glob("[0-9]*.md")]
    index = (DOCS / "README.md").read_text()

    assert len(set(numbers)) == len(numbers)
    assert [page.name for page in (DOCS / "decisions").glob("[0-9]*.md") if page.name not in index] == []


def test_every_picture_is_in_the_album_and_shown_somewhere():
    taken = {path.stem for path in (DOCS / "pictures").glob("*.png")}
    shown = {name for page in PAGES for name in re.findall(r"pictures/([\w-]+)\.png", page.read_text())}

    assert taken == shown == {picture.name for picture in ALBUM}


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_flag_of_a_session_is_listed():
    page = (DOCS / "integrators/ocpp.md").read_text()
    table = page.partition("| flag | says |")[2].partition("\n\n")[0]
    listed = re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines() if "|" in row))

    assert sorted(listed) == sorted(FLAGS)
