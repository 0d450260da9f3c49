"""Every line of the checklist has a check, and a run tells of each what came of it."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

import tests
from conformance import checklist, command_line
from conformance.listener import Listener
from conformance.report import Finding, Report, Verdict
from conformance.run import CPO, EMSP, Fault, Line, Run, Settings, Skipped
from conformance.wire import Caller, NoAnswer

PARTY = ("DE", "CHK")


@pytest.fixture
def run() -> Iterator[Run]:
    caller = Caller("token", PARTY)
    listener = Listener(("127.0.0.1", 0), "", "ours")
    yield Run(Settings("http://127.0.0.1:1/versions", "token", (), PARTY), caller, listener)
    caller.close()
    listener._server.server_close()


def raising(error: Exception | None) -> Line:
    def check(_: Run) -> str:
        if error is not None:
            raise error
        return "of 3"

    return Line(7, "A rule", check)


@pytest.mark.parametrize(
    ("error", "verdict", "reason"),
    [
        (None, Verdict.OK, "of 3"),
        (Fault("it is 3"), Verdict.FAIL, "it is 3"),
        (Skipped("needs a person"), Verdict.SKIP, "needs a person"),
        (NoAnswer("GET http://x: refused"), Verdict.FAIL, "GET http://x: refused"),
        (KeyError("id"), Verdict.FAIL, "an answer cannot be read (KeyError: 'id')"),
    ],
)
def test_whatever_comes_of_a_check_is_the_verdict_of_its_line(
    run: Run, error: Exception | None, verdict: Verdict, reason: str
) -> None:
    run.judge(raising(error))
    run.judge(raising(Fault("a second time")))

    assert run.findings == {7: Finding(7, "A rule", verdict, reason)}


def test_every_line_is_carried_out_and_none_is_of_both_sides_twice() -> None:
    lines = checklist.EVERY_LINE

    assert {line.number for line in lines} == set(range(1, 91))
    assert {line.role for line in lines} == {"", CPO, EMSP}
    assert len({(line.number, line.role) for line in lines}) == len(lines)


def test_every_line_is_named_by_a_test_of_ours() -> None:
    """In a docstring, as in "Checklist 4, 6-8: why"."""
    named = set()
    for path in Path(tests.__file__).parent.rglob("test_*.py"):
        if path.name not in {"test_checklist.py", "test_conformance.py"}:
            for numbers in re.findall(r'"""Checklist (\d+(?:(?:, | and |–|-)\d+)*)', path.read_text()):
                for first, last in re.findall(r"(\d+)(?:[–-](\d+))?", numbers):
                    named |= set(range(int(first), int(last or first) + 1))

    assert named == set(range(1, 91))


def test_a_report_ends_with_its_count_and_is_one_line_of_json() -> None:
    findings = (
        Finding(1, "First", Verdict.OK),
        Finding(2, "Second", Verdict.FAIL, "no"),
        Finding(30, "Third", Verdict.SKIP, "later"),
    )
    report = Report("https://p.example/versions", ("CPO",), "2.3.0", findings)

    assert report.as_text().splitlines() == [
        "ok    1  First", "FAIL  2  Second: no", "skip 30  Third: later", "1 passed, 1 failed",
    ]  # fmt: skip
    assert not report.is_conformant
    (line,) = report.as_json().splitlines()
    told = json.loads(line)
    assert (told["passed"], told["failed"], told["skipped"]) == (1, 1, 1)
    assert told["checks"][1] == {"line": 2, "title": "Second", "verdict": "FAIL", "reason": "no"}


def test_a_platform_that_is_not_there_fails_the_first_line_and_no_other() -> None:
    settings = Settings("http://127.0.0.1:1/versions", "token", (), PARTY)

    report = checklist.check(settings, listen=("127.0.0.1", 0))

    assert [one.line for one in report.findings if one.verdict == Verdict.FAIL] == [1]
    assert len(report.findings) == 90


@pytest.mark.parametrize("token", ["", "with a blank", "é", "x" * 65])
def test_a_token_that_can_be_none_is_refused_before_anything_is_asked(token: str) -> None:
    options = Namespace(party="DE*CHK", token=token, listen="127.0.0.1:0")

    with pytest.raises(command_line.UnusableOptionsError, match="--token"):
        command_line.check(options)
