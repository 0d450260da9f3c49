"""The table of what holds at the plug (docs/integrators/ocpp-rules.md) names tests that exist, and one for every rule."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RULES = (ROOT / "docs" / "integrators" / "ocpp-rules.md").read_text()
ROWS = [
    line.split("|")[1:3]
    for line in RULES.splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| rule"))
]
NAMED = sorted(set(re.findall(r"`(test_[\w.]+)`", RULES)))
FILES = {file.stem: file for file in (ROOT / "tests").rglob("test_*.py")}


@pytest.mark.parametrize("name", NAMED)
def test_what_it_names_exists(name: str):
    module, _, function = name.partition(".")

    assert module in FILES
    if function:
        assert re.search(rf"^(async )?def {function}\(", FILES[module].read_text(), re.MULTILINE)


def test_every_rule_has_a_test():
    assert len(ROWS) > 40
    assert [rule for rule, shown in ROWS if "`test_" not in shown] == []


@pytest.mark.parametrize(
    "suite", ["test_ocpp_frames", "test_ocpp_commands", "test_ocpp_charging_16", "test_ocpp_charging_2x"]
)
def test_no_suite_is_left_out(suite: str):
    assert any(name.startswith(f"{suite}.") for name in NAMED)
