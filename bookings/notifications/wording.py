"""News in words, in the language of who reads it: the same in an inbox and in a mail. Times are those of the depot's zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal
from django.conf import settings

from bookings.notifications.texts import LANGUAGES

DEFAULT = "en"
# What English means here: days before months, hours to 24.
_LOCALES = {"en": "en_GB", "de": "de_DE"}
MOST_SUBJECT = 200
# News of a slot that is not kept as it should be yet.
_GOES_ON = {"at_risk", "at_risk_here", "soft"}
_UTC = "UTC"


@dataclass(frozen=True)
class Sentence:
    """A line that says what happened, and what else is known of it."""

    title: str
    more: str = ""


def sentence(kind: str, params: Mapping[str, Any], language: str) -> Sentence:
    """News in one language; a value that is missing leaves a dash."""
    words = LANGUAGES[language]
    title = words.TITLES[kind].format_map(_Values(values(params, language)))
    return Sentence(_one_line(title), " ".join(_more(kind, params, language)))


def mail(news: Sequence[Mapping[str, Any]], language: str) -> tuple[str, str]:
    """Subject and text of a mail about these, the oldest first; the subject is the latest."""
    phrases = LANGUAGES[language].PHRASES
    told = [sentence(one["kind"], one["params"], language) for one in news]
    lines = [part for one in told for part in (f"{one.title}.", one.more, "") if part or not one.more]
    link = next((one["link"] for one in reversed(news) if one.get("link")), "")
    see = [phrases["see"].format(url=settings.BERTH_BASE_URL + link), ""] if link else []
    text = "\n".join([phrases["hello"], "", *lines, *see, phrases["why"].format(url=settings_url())])
    return told[-1].title[:MOST_SUBJECT], text + "\n"


def settings_url() -> str:
    return f"{settings.BERTH_BASE_URL}/notifications/settings/"


def values(params: Mapping[str, Any], language: str) -> dict[str, str]:
    """What the words of a language may name."""
    zone = str(params.get("zone") or _UTC)
    found = {name: str(value) for name, value in params.items() if isinstance(value, str | int)}
    found["plate"] = found.get("plate") or LANGUAGES[language].PHRASES["no_vehicle"]
    if "starts_at" in params and "ends_at" in params:
        found["when"] = span(params["starts_at"], params["ends_at"], zone, language)
        found["end"] = moment(params["ends_at"], zone, language, has_day=False)
    if isinstance(offered := params.get("offered"), dict):
        found["offered_when"] = span(offered["start"], offered["end"], zone, language)
    if params.get("stops_at"):
        found["stops"] = moment(params["stops_at"], zone, language, has_day=False)
    for name in ("until", "since"):
        if params.get(name):
            found[name] = moment(params[name], zone, language)
    if "amount" in params:
        found["amount"] = money(params["amount"], str(params.get("currency", "")), language)
    return found


def span(start: str, end: str, zone: str, language: str) -> str:
    """`Tue 15 Jan 2030, 11:00–12:00 (Europe/Berlin)`; over midnight with both days."""
    first, last = _local(start, zone), _local(end, zone)
    locale = _LOCALES[language]
    until = _time(last, locale)
    if first.date() != last.date():
        until = f"{_day(last, locale)}, {until}"
    when: str = LANGUAGES[language].PHRASES["when"]
    return when.format(day=_day(first, locale), start=_time(first, locale), end=until, zone=zone)


def moment(text: str, zone: str, language: str, *, has_day: bool = True) -> str:
    local, locale = _local(text, zone), _LOCALES[language]
    time = f"{_time(local, locale)} ({zone})"
    return f"{_day(local, locale)}, {time}" if has_day else time


def money(amount: object, currency: str, language: str) -> str:
    try:
        return str(format_currency(Decimal(str(amount)), currency, locale=_LOCALES[language]))
    except (InvalidOperation, ValueError):
        return f"{amount} {currency}".strip()


class _Values(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "–"


def _more(kind: str, params: Mapping[str, Any], language: str) -> Iterator[str]:
    words = LANGUAGES[language]
    yield from _counted(params, words)
    before = params.get("before")
    if isinstance(before, dict) and (was := _before(before, params, language)):
        yield words.PHRASES["before"].format(before=was)
    if power := params.get("power"):
        yield words.PHRASES["power"].format_map(_power(power, params, language))
    if params.get("limit_kw") is not None:
        kw = format_decimal(params["limit_kw"], locale=_LOCALES[language])
        yield words.PHRASES["limit"].format(kw=kw)
    if params.get("is_last"):
        yield words.PHRASES["last"]
    yield from _reasons(params, words)
    if why := str(params.get("why") or ""):
        yield from _why(kind, why, words)
    if waived := params.get("waived"):
        yield words.PHRASES["no_fee_no_power" if waived == "no_power" else "no_fee"]
    if params.get("stops_at"):
        key = "stops_for_next" if params.get("is_for_next") else "stops"
        yield words.PHRASES[key].format_map(_Values(values(params, language)))
    if kind == "webhook_stopped":
        key = "gone" if params.get("is_gone") else "webhook"
        yield words.PHRASES[key].format_map(_Values(values(params, language)))


def _counted(params: Mapping[str, Any], words: ModuleType) -> Iterator[str]:
    if params.get("others"):
        yield words.PHRASES["others"].format(others=params["others"])
    if params.get("again") or params.get("lost"):
        yield words.PHRASES["again"].format(again=params["again"], lost=params["lost"])


def _reasons(params: Mapping[str, Any], words: ModuleType) -> Iterator[str]:
    """A reason by its code or in somebody's words, and what they have added to it."""
    said = [str(params[name]) for name in ("reason", "note") if params.get(name)]
    told = [_one_line(words.REASONS.get(one, one)).rstrip(".") for one in said if one != "NO_CANCELED"]
    if told:
        yield words.PHRASES["reason"].format(reason=told[0])
        yield from (f"{note}." for note in told[1:])


def _power(power: Mapping[str, Any], params: Mapping[str, Any], language: str) -> dict[str, str]:
    """How much there is of what was promised, and how long."""
    zone, locale = str(params.get("zone") or _UTC), _LOCALES[language]
    start, end = (_time(_local(power["period"][edge], zone), locale) for edge in ("start", "end"))
    kw = {
        name: format_decimal(power[f"{name}_w"] / 1000, locale=locale)
        for name in ("limit", "expected", "promised")
    }
    return {"start": start, "end": end} | {name: f"{value} kW" for name, value in kw.items()}


def _why(kind: str, code: str, words: ModuleType) -> Iterator[str]:
    """Why it is so, and what follows where that is not over; nothing of a code that has no words."""
    sentences = words.INTERRUPTED if kind == "interrupted" else words.ENFORCEMENT
    follows = words.NEXT if kind in _GOES_ON else {}
    yield from (table[code] for table in (sentences, follows) if code in table)


def _before(before: Mapping[str, Any], params: Mapping[str, Any], language: str) -> str:
    """Time and EVSE as they were, of what is different now."""
    changed = set(params.get("changed") or ())
    parts = []
    if "period" in changed and isinstance(period := before.get("period"), dict):
        parts.append(span(period["start"], period["end"], str(params.get("zone") or _UTC), language))
    if "evse" in changed and before.get("evse"):
        parts.append(str(before["evse"]))
    return ", ".join(parts)


def _local(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(ZoneInfo(zone))


def _day(local: datetime, locale: str) -> str:
    return str(format_date(local.date(), "EEE d MMM y", locale=locale))


def _time(local: datetime, locale: str) -> str:
    return str(format_time(local.time(), "HH:mm", locale=locale))


def _one_line(text: str) -> str:
    """A subject is a header: what others wrote may not break it."""
    return " ".join(text.split())
