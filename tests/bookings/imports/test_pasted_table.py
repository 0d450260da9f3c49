"""A pasted table: what is understood, and what is refused with what to write instead."""

from __future__ import annotations

from datetime import date, time, timedelta

import pytest

from bookings.imports.pasted_table import (
    MOST_ROWS,
    PastedRow,
    Unreadable,
    line_of,
    read_clock,
    read_day,
    read_end,
    read_kw,
    read_table,
)

TODAY = date(2026, 11, 27)
ROW = PastedRow("HH-NF 100", "NF-HAM", "28.11.2026", "7:30", "45 min")


@pytest.mark.parametrize(
    "text",
    [
        "HH-NF 100\tNF-HAM\t28.11.2026\t7:30\t45 min",
        "HH-NF 100; NF-HAM; 28.11.2026; 7:30; 45 min\n\n",
        "HH-NF 100, NF-HAM, 28.11.2026, 7:30, 45 min",
        '"HH-NF 100";"NF-HAM";"28.11.2026";"7:30";"45 min"\r\n',
        "Plate\tDepot\tDate\tFrom\tTo\nHH-NF 100\tNF-HAM\t28.11.2026\t7:30\t45 min",
        "Datum;Von;Dauer (min);Kennzeichen;Standort;Fahrer\n28.11.2026;7:30;45 min;HH-NF 100;NF-HAM;Meier",
    ],
)
def test_tables_of_every_separator_with_and_without_header(text):
    assert read_table(text) == [ROW]


def test_a_row_can_be_edited_and_read_again():
    odd = PastedRow('HH "X" 1', "Hamburg; Süd", "morgen", "7:30", "45", "12:00", "22,5")

    assert [read_table(line_of(row)) for row in (ROW, odd)] == [[ROW], [odd]]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a;b;c;d;e;f;g;h;i", "more than the 8 columns"),
        ("\n".join(["a;b;c;d;e"] * (MOST_ROWS + 1)), f"{MOST_ROWS} are booked at once"),
        ("plate;depot;date\na;b;c", "no column from, to"),
        ("plate;depot;date;from;to;until\na;b;c;d;e;f", "the same meaning"),
    ],
)
def test_what_is_no_table_of_bookings_says_so(text, why):
    with pytest.raises(Unreadable, match=why):
        read_table(text)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-11-28", date(2026, 11, 28)), ("28.11.2026", date(2026, 11, 28)), ("28.11.26", date(2026, 11, 28)),
        ("28.11.", date(2026, 11, 28)), ("3.1.", date(2027, 1, 3)), ("28 Nov 2026", date(2026, 11, 28)),
        ("28. November", date(2026, 11, 28)), ("1. Dez 2026", date(2026, 12, 1)), ("3. März", date(2027, 3, 3)),
        ("28/11/2026", date(2026, 11, 28)), ("11/28/2026", date(2026, 11, 28)), ("5/5/2027", date(2027, 5, 5)),
        ("tomorrow", date(2026, 11, 28)), ("Heute", TODAY), ("morgen", date(2026, 11, 28)),
        ("4/5/2027", None), ("31.2.2027", None), ("soon", None), ("", None), ("28.13.", None), ("5 foo", None),
    ],
)  # fmt: skip
def test_days(text, day):
    if day is None:
        with pytest.raises(Unreadable, match="2026-11-28"):
            read_day(text, TODAY)
    else:
        assert read_day(text, TODAY) == day


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("7:30", time(7, 30)), ("07.30", time(7, 30)), ("0730", time(7, 30)), ("7h30", time(7, 30)), ("7:30:00", time(7, 30)),
        ("7:30 pm", time(19, 30)), ("12am", time(0)), ("12 pm", time(12)), ("7 Uhr", time(7)), ("7:30 Uhr", time(7, 30)),
        ("24:00", time(0)), ("7", None), ("25:00", None), ("7:60", None), ("13 pm", None), ("", None), ("early", None),
    ],
)  # fmt: skip
def test_times_of_day(text, clock):
    if clock is None:
        with pytest.raises(Unreadable, match="14:30"):
            read_clock(text)
    else:
        assert read_clock(text) == clock


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("45", timedelta(minutes=45)), ("45 min", timedelta(minutes=45)), ("90 Minuten", timedelta(minutes=90)),
        ("9 min", timedelta(minutes=9)), ("1.5 h", timedelta(minutes=90)), ("1,5 Std", timedelta(minutes=90)),
        ("2h", timedelta(hours=2)), ("8:15", time(8, 15)), ("9", None), ("24", None), ("0930", None), ("0 min", None), ("", None),
    ],
)  # fmt: skip
def test_ends_are_times_or_lengths_and_never_guessed(text, end):
    if end is None:
        with pytest.raises(Unreadable):
            read_end(text)
    else:
        assert read_end(text) == end


@pytest.mark.parametrize(
    ("text", "watts"),
    [
        ("250", 250_000),
        ("22,5 kW", 22_500),
        ("22.5", 22_500),
        ("", None),
        ("0", -1),
        ("much", -1),
        ("1.234,5", -1),
    ],
)
def test_power(text, watts):
    if watts == -1:
        with pytest.raises(Unreadable):
            read_kw(text)
    else:
        assert read_kw(text) == watts
