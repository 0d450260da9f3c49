"""Hours and quotas of a depot file: written as they stand there, left alone where it says nothing of them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from bookings.imports.depots import Imported, import_depots
from bookings.models import AccessRule
from depots.imports.documents import FileRefusedError
from depots.models import Depot
from tests.config.test_import_depots import DEPOT
from tests.factories import NOW, make_fleet, make_operator, make_rule

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def people() -> None:
    make_operator("Nordfracht", country_code="DE", cpo_party_id="NFR")
    make_fleet("Balt Cargo")


def imported(path: Path, **told: Any) -> Imported:
    (path / "depots.json").write_text(json.dumps({"depots": [{**copy.deepcopy(DEPOT), **told}]}))
    return import_depots(path / "depots.json", now=NOW)


ACCESS: list[dict[str, Any]] = [
    {"kind": "own_first", "weekdays": [5, 1], "from": "06:00", "to": "18:00", "ahead_min": 240},
    {"kind": "window", "from": "22:00", "to": "06:00"},
    {"kind": "quota", "guest": "Balt Cargo", "evses": 2},
    {"kind": "quota", "percent": 50, "counts": "guests"},
    {"kind": "walk_in", "evses": 1, "option": "CP-1-1"},
]


def test_rules_of_the_depot_and_of_its_agreements_stand_as_the_file_says(tmp_path):
    one = imported(tmp_path, open_to=["Balt Cargo"], access=ACCESS, listed=True)

    rows = AccessRule.objects.order_by("pk").values_list(
        "kind", "weekdays", "from_minute", "to_minute", "ahead_min", "amount", "unit", "counts", "agreement__guest__name",
        "option__code",
    )  # fmt: skip
    week = [1, 2, 3, 4, 5, 6, 7]
    assert list(rows) == [
        ("own_first", [1, 5], 360, 1080, 240, None, "", "", None, None),
        ("window", week, 1320, 360, None, None, "", "", None, None),
        ("quota", week, 0, 1440, None, 2, "evses", "each", "Balt Cargo", None),
        ("quota", week, 0, 1440, None, 50, "percent", "guests", None, None),
        ("walk_in", week, 0, 1440, None, 1, "evses", "", None, "CP-1-1"),
    ]
    assert one.depots[0].outcome == "created"
    assert Depot.objects.get().is_listed


def test_the_same_file_again_changes_nothing_and_a_shorter_list_takes_away(tmp_path):
    told = {"open_to": ["Balt Cargo"], "access": ACCESS}
    imported(tmp_path, **told)
    keys = set(AccessRule.objects.values_list("pk", flat=True))

    again = imported(tmp_path, **told)
    assert again.depots[0].outcome == "unchanged"
    assert set(AccessRule.objects.values_list("pk", flat=True)) == keys

    imported(tmp_path, access=ACCESS[:1])
    assert AccessRule.objects.get().kind == "own_first"


def test_a_file_that_says_nothing_of_them_leaves_what_pages_set(tmp_path):
    imported(tmp_path)
    make_rule(Depot.objects.get(), "window")
    Depot.objects.update(is_listed=True)

    assert imported(tmp_path).depots[0].outcome == "unchanged"
    assert AccessRule.objects.count() == 1
    assert Depot.objects.get().is_listed


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"kind": "sometimes"}, "kind"),
        ({"kind": "window", "weekdays": []}, "weekdays"),
        ({"kind": "window", "weekdays": [8]}, "weekdays"),
        ({"kind": "window", "from": "6"}, "from"),
        ({"kind": "window", "to": "24:30"}, "to"),
        ({"kind": "window", "from": "06:00", "to": "06:00"}, "from 00:00 to 24:00"),
        ({"kind": "window", "evses": 1}, "no amount"),
        ({"kind": "quota"}, "one of evses, percent and kw"),
        ({"kind": "quota", "evses": 1, "kw": 2}, "one of evses, percent and kw"),
        ({"kind": "quota", "percent": 101}, "percent"),
        ({"kind": "quota", "evses": 0}, "evses"),
        ({"kind": "quota", "evses": 1, "counts": "guests", "guest": "Balt Cargo"}, "counts"),
        ({"kind": "walk_in", "percent": 5}, "walk_in keeps evses"),
        ({"kind": "walk_in", "evses": 1, "option": "X"}, "X is no option of this depot"),
        ({"kind": "quota", "evses": 1, "option": "CP-1-1"}, "option goes with walk_in"),
        ({"kind": "window", "ahead_min": 5}, "ahead_min goes with own_first"),
        ({"kind": "window", "guest": "Nobody"}, "guest"),
        ({"kind": "window", "guest": "Balt Cargo"}, "never opened to Balt Cargo"),
        ({"kind": "window", "color": "red"}, "color"),
    ],
)
def test_a_rule_that_makes_no_sense_is_named_and_nothing_is_written(tmp_path, row, field):
    with pytest.raises(FileRefusedError) as refusal:
        imported(tmp_path, access=[row])

    assert field in str(refusal.value)
    assert not Depot.objects.exists()
