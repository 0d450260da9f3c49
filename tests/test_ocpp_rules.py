"""The table of what holds at the plug (docs/integrators/ocpp-rules.md) names tests that exist, and shows each rule at a socket
of each of its versions."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RULES = (ROOT / "docs" / "integrators" / "ocpp-rules.md").read_text()
ROWS = [
    line.split("|")[1:3]
    for line in RULES.splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| rule", "| what"))
]
NAMED = sorted(set(re.findall(r"`(test_[\w.]+)`", RULES)))
FILES = {file.stem: file for file in (ROOT / "tests").rglob("test_*.py")}


@pytest.mark.parametrize("name", NAMED)
def test_what_it_names_exists(name: str):
    module, _, function = name.partition(".")

    assert module in FILES
    if function:
        assert re.search(rf"^(async )?def {function}\(", FILES[module].read_text(), re.MULTILINE)


ALL = {"1.6", "2.0.1", "2.1"}
# How a test that is run in several versions says so, in what stands before its name.
SEVERAL = re.compile(r"protocol|version|mainly|dialect|DIALECTS|MODULES")
# A charger that is one of 2.x throughout the file.
OF_2X = re.compile(r"fixture\(params=(ALL_2X|\[.ocpp2\.0\.1., .ocpp2\.1.\])")


def test_every_rule_is_shown_at_a_socket_of_each_version_it_holds_in():
    assert len(ROWS) > 80
    assert [rule for rule, shown in ROWS if _holds_in(rule) - _shown_in(shown)] == []


def _holds_in(rule: str) -> set[str]:
    named = re.match(r" (1\.6|2\.x): ", rule)
    return ALL if named is None else {"1.6"} if named[1] == "1.6" else {"2.0.1", "2.1"}


def _shown_in(shown: str) -> set[str]:
    return set().union(*(_versions_of(*name.split(".")) for name in re.findall(r"`(test_\w+\.\w+)`", shown)))


def _versions_of(module: str, function: str) -> set[str]:
    """At a socket; a scenario speaks 1.6 where it says nothing of a version."""
    file, text = FILES[module], FILES[module].read_text()
    if file.parent.name != "scenarios":
        return set()
    if "_16" in module or "_1_6" in function:
        return {"1.6"}
    if OF_2X.search(text) or "_2x" in function or "_2_x" in function:
        return {"2.0.1", "2.1"}
    if module == "test_depot_day":  # chargers of each version live it
        return ALL
    before, *_ = text.partition(f"def {function}(")
    decorated = before.rpartition("\n\n\n")[2]
    return ALL if SEVERAL.search(decorated) else {"1.6"}


@pytest.mark.parametrize(
    "suite", ["test_ocpp_frames", "test_ocpp_commands", "test_ocpp_charging_16", "test_ocpp_charging_2x"]
)
def test_no_suite_is_left_out(suite: str):
    assert any(name.startswith(f"{suite}.") for name in NAMED)
