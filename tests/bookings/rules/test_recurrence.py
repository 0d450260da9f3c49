"""Rules of series: RFC 5545, on the clock of a depot, in bounded time."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from dateutil import rrule

from bookings.errors import RuleUnclear
from bookings.rules import recurrence
from bookings.rules.rule_days import DayRule

BERLIN = ZoneInfo("Europe/Berlin")
TUESDAY = datetime.fromisoformat("2030-01-15T08:00")


def days(rule: str, first: datetime = TUESDAY) -> list[str]:
    return [f"{start:%m-%d}" for start in recurrence.read(rule, first, BERLIN).starts]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=DAILY;COUNT=3", ["01-15", "01-16", "01-17"]),
        ("rrule:freq=daily;count=2", ["01-15", "01-16"]),
        ("FREQ=DAILY;INTERVAL=10;COUNT=3", ["01-15", "01-25", "02-04"]),
        ("FREQ=WEEKLY;BYDAY=TU,TH;COUNT=4", ["01-15", "01-17", "01-22", "01-24"]),
        ("FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=TU,SU;COUNT=4", ["01-15", "01-27", "01-29", "02-10"]),
        ("FREQ=MONTHLY;BYDAY=3TU;COUNT=3", ["01-15", "02-19", "03-19"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=11;COUNT=2", ["01-15", "02-15"]),
        ("FREQ=YEARLY;BYMONTH=1,7;BYMONTHDAY=15;COUNT=3", ["01-15", "07-15", "01-15"]),
        # Until is included: of a day all of it, a time by the depot's clock or, with Z, in UTC.
        ("FREQ=DAILY;UNTIL=20300117", ["01-15", "01-16", "01-17"]),
        ("FREQ=DAILY;UNTIL=20300117T080000", ["01-15", "01-16", "01-17"]),
        ("FREQ=DAILY;UNTIL=20300117T075959", ["01-15", "01-16"]),
        ("FREQ=DAILY;UNTIL=20300117T070000Z", ["01-15", "01-16", "01-17"]),
        ("FREQ=DAILY;UNTIL=20300117T065959Z", ["01-15", "01-16"]),
    ],
)
def test_a_rule_names_its_days(rule: str, expected: list[str]) -> None:
    assert days(rule) == expected


def test_days_that_are_not_in_the_calendar_do_not_count() -> None:
    assert days("FREQ=MONTHLY;COUNT=3", datetime.fromisoformat("2030-01-31T08:00")) == [
        "01-31",
        "03-31",
        "05-31",
    ]


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("", "Nothing"),
        ("FREQ", "FREQ"),
        ("COUNT=3", "FREQ="),
        ("FREQ=DAILY", "end"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20300120", "end"),
        ("FREQ=DAILY;COUNT=3;COUNT=4", "twice"),
        ("FREQ=HOURLY;COUNT=3", "one slot a day"),
        ("FREQ=SECONDLY;UNTIL=20300120", "one slot a day"),
        ("FREQ=DAILY;BYHOUR=8,16;COUNT=3", "BYHOUR"),
        ("FREQ=DAILY;COUNT=0", "COUNT"),
        ("FREQ=DAILY;COUNT=401", "COUNT"),
        ("FREQ=DAILY;COUNT=-1", "COUNT"),
        ("FREQ=DAILY;COUNT=99999999999999999999", "COUNT"),
        ("FREQ=DAILY;COUNT=٣", "COUNT"),
        ("FREQ=DAILY;INTERVAL=0;COUNT=3", "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=1000;COUNT=3", "INTERVAL"),
        ("FREQ=WEEKLY;BYDAY=XX;COUNT=3", "XX"),
        ("FREQ=WEEKLY;BYDAY=TU,TU;COUNT=3", "twice"),
        ("FREQ=MONTHLY;BYDAY=54TU;COUNT=3", "BYDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=0;COUNT=3", "BYMONTHDAY"),
        ("FREQ=YEARLY;BYEASTER=0;COUNT=3", "BYEASTER"),
        ("FREQ=MONTHLY;BYSETPOS=1;COUNT=3", "BYSETPOS"),
        ("FREQ=WEEKLY;BYMONTHDAY=15;COUNT=3", "BYMONTHDAY"),
        ("FREQ=MONTHLY;BYYEARDAY=15;COUNT=3", "BYYEARDAY"),
        ("FREQ=DAILY;BYWEEKNO=3;COUNT=3", "BYWEEKNO"),
        ("FREQ=WEEKLY;BYDAY=1TU;COUNT=3", "numbered"),
        ("FREQ=DAILY;UNTIL=tomorrow", "UNTIL"),
        ("FREQ=DAILY;UNTIL=20300230", "UNTIL"),
        ("FREQ=DAILY;UNTIL=99991231T235959Z", "UNTIL"),
        ("FREQ=DAILY;UNTIL=20420101", "10 years"),
        ("FREQ=DAILY;UNTIL=20310301", "400"),
        ("FREQ=DAILY;UNTIL=20300114", "no day"),
        ("FREQ=YEARLY;COUNT=20", "10 years"),
        ("FREQ=WEEKLY;BYDAY=MO,WE;COUNT=3", "its next is Wed 16 Jan 2030"),
        ("FREQ=DAILY;COUNT=3;" + "X" * 300, "characters"),
        ("FREQ=DAILY;COUNT=3\nRRULE:FREQ=DAILY", "COUNT"),
        ("FREQ=DAILY;COUNT=3\x00", "COUNT"),
    ],
)
def test_what_is_not_understood_or_not_offered_is_refused_by_name(rule: str, named: str) -> None:
    with pytest.raises(RuleUnclear, match=named):
        recurrence.read(rule, TUESDAY, BERLIN)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=1",
        f"FREQ=DAILY;COUNT=3;BYMONTH=2;BYMONTHDAY=30;BYSETPOS={','.join(map(str, range(1, 80)))}",
        "FREQ=DAILY;INTERVAL=999;BYMONTH=2;BYMONTHDAY=30;UNTIL=20391231",
        "FREQ=WEEKLY;BYMONTH=2;BYSETPOS=9;COUNT=400",
        "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6;COUNT=400",
        "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYYEARDAY=366,-366;BYMONTH=2;COUNT=400",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYSETPOS=366;COUNT=400",
    ],
)
def test_a_rule_that_never_comes_true_is_refused_after_each_day_was_looked_at_once(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[date] = []
    names = DayRule.names
    monkeypatch.setattr(DayRule, "names", lambda self, day: looked_at.append(day) or names(self, day))

    with pytest.raises(RuleUnclear):
        recurrence.read(rule, TUESDAY, BERLIN)

    # Ten years, and what is left of the year it begins and ends in.
    assert 0 < len(looked_at) == len(set(looked_at)) < 366 * 12


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;INTERVAL=3;BYDAY=MO,TU,SA",
        "FREQ=DAILY;BYMONTH=1,6;BYMONTHDAY=-1,15,-17",
        "FREQ=WEEKLY;INTERVAL=3;WKST=SU;BYDAY=SU,MO,TU",
        "FREQ=WEEKLY;BYMONTH=1,12",
        "FREQ=MONTHLY;INTERVAL=5",
        "FREQ=MONTHLY;BYDAY=1TU,-1FR,3TU,5SU",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1,1,11",
        "FREQ=MONTHLY;BYMONTHDAY=13,15;BYDAY=FR,TU",
        "FREQ=YEARLY;INTERVAL=2;BYMONTH=1,2;BYDAY=3TU,-1SA",
        "FREQ=YEARLY;BYDAY=3TU,20MO,-1SU",
        "FREQ=YEARLY;BYYEARDAY=15,100,-1,366",
        "FREQ=YEARLY;BYWEEKNO=1,3,20,53",
        "FREQ=YEARLY;WKST=SU;BYWEEKNO=3,52,-1;BYDAY=TU,SU",
        "FREQ=YEARLY;BYMONTH=1,11;BYMONTHDAY=15;BYSETPOS=1",
        "FREQ=YEARLY;BYDAY=TU;BYSETPOS=3,-3",
    ],
)
def test_a_rule_names_the_days_that_dateutil_does(rule: str) -> None:
    until = datetime.fromisoformat("2033-12-31T23:00")
    theirs = rrule.rrulestr(rule, dtstart=TUESDAY).between(TUESDAY, until, inc=True)

    found = recurrence.read(f"{rule};UNTIL=20331231", TUESDAY, BERLIN).starts

    assert list(found) == theirs


def test_the_calendar_of_a_leap_year_is_kept() -> None:
    found = recurrence.read("FREQ=YEARLY;COUNT=2", datetime.fromisoformat("2032-02-29T08:00"), BERLIN).starts

    assert [f"{start:%Y-%m-%d}" for start in found] == ["2032-02-29", "2036-02-29"]


def test_exceptions_are_days_and_something_has_to_be_left() -> None:
    rule = recurrence.read("FREQ=DAILY;COUNT=2", TUESDAY, BERLIN)

    assert rule.without({date(2030, 1, 15), date(2031, 1, 1)}) == [datetime.fromisoformat("2030-01-16T08:00")]
    with pytest.raises(RuleUnclear) as refusal:
        rule.without({date(2030, 1, 15), date(2030, 1, 16)})
    assert refusal.value.field == "exceptions"


@pytest.mark.parametrize(
    ("zone", "local", "in_utc"),
    [
        # A skipped time is read with the offset before the gap; a repeated one is the first (RFC 5545, 3.3.5).
        ("Europe/Berlin", "2030-03-31T02:30", "01:30"),
        ("Europe/Berlin", "2030-03-31T03:30", "01:30"),
        ("Europe/Berlin", "2030-10-27T02:30", "00:30"),
        ("America/New_York", "2030-03-10T02:30", "07:30"),
        ("America/New_York", "2030-11-03T01:30", "05:30"),
        ("Australia/Lord_Howe", "2030-10-06T02:15", "15:45"),
        ("Australia/Lord_Howe", "2030-04-07T01:45", "14:45"),
    ],
)
def test_times_of_the_change_of_clocks(zone: str, local: str, in_utc: str) -> None:
    found = recurrence.moment(datetime.fromisoformat(local), ZoneInfo(zone))

    assert (f"{found:%H:%M}", found.tzinfo) == (in_utc, UTC)
