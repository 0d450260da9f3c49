"""What holds for every request, lines 13 to 24, judged on the lists of the platform and on all that was said in the run."""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from conformance import specification
from conformance.run import CPO, Fault, Line, Run, Skipped
from conformance.specification.tables import DATE_TIME
from conformance.wire import Answer, Json, Party, read_time, time_text

LOOKS_LIKE_TIME = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
IDS = ("X-Request-ID", "X-Correlation-ID")
FOREIGN = ("ZZ", "ZZZ")


def envelopes(run: Run) -> str:
    for answer in run.caller.answers:
        if faults := specification.envelope_faults(answer.body):
            raise Fault(f"{answer}; {faults[0]}")
        if (answer.code or 0) >= 2000 and answer.data is not None:
            raise Fault(f"{answer}; an error with data")
    return f"of {len(run.caller.answers)} answers"


def message_ids(run: Run) -> str:
    answer = run.caller.send("GET", _a_list(run))
    for name in IDS:
        if answer.headers.get(name) != answer.sent[name]:
            raise Fault(f"{name} came back as {answer.headers.get(name)!r}")
    bare = run.caller.send("GET", _a_list(run), headers=dict.fromkeys(IDS, ""))
    for name in IDS:
        if not bare.headers.get(name):
            raise Fault(f"no {name} is made up where none is sent")
    return ""


def routing(run: Run) -> str:
    to = _addressed(run)
    answer = run.caller.send("GET", _a_list(run), to=to)
    wanted = {"OCPI-to": run.caller.sender, "OCPI-from": to}
    for direction, party in wanted.items():
        told = _party_in(answer, direction)
        if told is None or _folded(told) != _folded(party):
            raise Fault(
                f"{direction}-* of the answer is {'*'.join(told) if told else 'missing'}; {'*'.join(party)} is right"
            )
    plain = run.caller.send("GET", run.settings.versions_url, routed=False)
    if any(_party_in(plain, direction) for direction in wanted):
        raise Fault("the answer to GET versions has routing headers")
    return ""


def addressed_party(run: Run) -> str:
    url = f"{_need_cpo(run)}/booking_locations"
    for role, *party in run.parties:
        if role == CPO:
            for one in run.list(url, to=(party[0], party[1])):
                if _folded((one["country_code"], one["party_id"])) != _folded((party[0], party[1])):
                    raise Fault(
                        f"asked of {'*'.join(party)}, and {one['id']} of {one['country_code']}*{one['party_id']} came"
                    )
    answer = run.caller.send("GET", url, to=FOREIGN)
    if answer.status != 404 and answer.code != 2001:
        raise Fault(f"to {'*'.join(FOREIGN)}: {answer}; 404 or 2001 is right")
    return ""


def malformed(run: Run) -> str:
    if CPO in run.roles:
        method, url = "POST", run.bookings_url
    else:
        country, party = run.settings.party
        method, url = "PUT", f"{run.receiver_url}/{country}/{party}/CONFORMANCE-NONE"
    broken = run.caller.send(method, url, b'{"broken": ')
    if broken.status != 400:
        raise Fault(f"{broken}; a body that is no JSON: HTTP 400 is right")
    run.refused(run.caller.send(method, url, {"last_updated": "2026-01-01T00:00:00Z"}), 2001)
    return ""


def paging(run: Run) -> str:
    url = f"{_need_cpo(run)}/booking_locations"
    first = run.caller.send("GET", f"{url}?limit=1&date_from=2020-01-01T00:00:00Z")
    objects = run.success(first)
    for name in ("X-Total-Count", "X-Limit"):
        if not str(first.headers.get(name, "")).isdigit():
            raise Fault(f"{name} is {first.headers.get(name)!r}")
    total = int(first.headers["X-Total-Count"])
    if len(objects) != min(1, total):
        raise Fault(f"limit=1 gave {len(objects)} objects of {total}")
    if total < 2:
        raise Skipped(f"there are {total} BookingLocations, too few for two pages")
    kept = parse_qs(urlsplit(first.next_url).query)
    if not first.next_url or "date_from" not in kept:
        raise Fault(
            f"Link of the first of {total} pages is {first.headers.get('Link')!r}; the filter belongs in it"
        )
    pages = list(run.caller.pages(f"{url}?limit={max(1, total // 3)}"))
    found = [one["id"] for page in pages for one in run.success(page)]
    if len(set(found)) != len(found) or len(found) != total:
        raise Fault(f"the pages hold {len(found)} objects, {len(set(found))} of them different, of {total}")
    return f"{total} BookingLocations"


def date_bounds(run: Run) -> str:
    booking = run.book()
    url, moment = run.bookings_url, booking["last_updated"]
    since = [one["id"] for one in run.list(f"{url}?date_from={moment}")]
    until = [one["id"] for one in run.list(f"{url}?date_to={moment}")]
    if booking["id"] not in since:
        raise Fault(f"date_from={moment} leaves out a booking of that last_updated")
    if booking["id"] in until:
        raise Fault(f"date_to={moment} includes a booking of that last_updated")
    return ""


def crawling(run: Run) -> str:
    """An object is changed between the pages: none may be missing at the end."""
    bookings = [run.book() for _ in range(2)]
    known = {one["id"] for one in run.list(run.bookings_url)}
    pages = run.caller.pages(f"{run.bookings_url}?limit=1")
    found = {one["id"] for one in run.success(next(pages))}
    changed = run.again(bookings[0], authorization_reference=uuid.uuid4().hex)
    run.success(run.ask(changed))
    for page in pages:
        found |= {one["id"] for one in run.success(page)}
    if missing := known - found:
        raise Fault(f"{len(missing)} of {len(known)} bookings were lost while one of them was changed")
    return f"{len(known)} bookings"


def times(run: Run) -> str:
    """What we send with an offset is read as its moment; what is sent has none."""
    detail = _offset_is_read(run) if CPO in run.roles and run.place else "what is sent"
    said = [(str(a), a.data) for a in run.caller.answers]
    said += [(f"{call.method} {call.path}", call.body) for call in run.listener.since(0)]
    for where, data in said:
        for path, text in _times_in(data):
            if not re.fullmatch(DATE_TIME, text):
                raise Fault(f"{where}: {path} is {text}")
    return detail


def _offset_is_read(run: Run) -> str:
    span = run.free_span(run.place)
    there = {
        name: (moment + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S.000+02:00")
        for name, moment in zip(("start_date_time", "end_date_time"), span, strict=True)
    }
    booking = run.success(run.ask(run.request(run.place, span, period=there)))
    if booking["period"]["start_date_time"] != time_text(span[0]):
        raise Fault(f"{there['start_date_time']} was read as {booking['period']['start_date_time']}")
    return ""


def _times_in(value: Json, path: str = "") -> list[tuple[str, str]]:
    """Every text that is a time; what is kept verbatim of us (`booking_request`) is our own."""
    if isinstance(value, dict):
        parts = [(name, one) for name, one in value.items() if name != "booking_request"]
        return [found for name, one in parts for found in _times_in(one, f"{path}.{name}".lstrip("."))]
    if isinstance(value, list):
        return [found for number, one in enumerate(value) for found in _times_in(one, f"{path}.{number}")]
    return [(path, value)] if isinstance(value, str) and LOOKS_LIKE_TIME.match(value) else []


def folded_case(run: Run) -> str:
    if CPO in run.roles and run.place:
        country, party = run.settings.party
        span = run.free_span(run.place)
        lower = run.request(run.place, span, country_code=country.lower(), party_id=party.lower())
        run.success(run.ask(lower))
        run.get(f"{run.bookings_url}/booking_locations/{run.place['id'].lower()}")
    elif "offer" in run.noted:
        country, party = (part.lower() for part in run.settings.party)
        run.get(f"{run.receiver_url}/{country}/{party}/booking_locations/{run.noted['offer']['id'].lower()}")
    else:
        raise Skipped("there is nothing to name in lower case")
    return ""


def _a_list(run: Run) -> str:
    if CPO in run.roles:
        return f"{run.bookings_url}?limit=1"
    if "offer" in run.noted:
        return str(run.noted["offer url"])
    raise Skipped("there is nothing to ask for")


def _addressed(run: Run) -> Party:
    wanted = CPO if CPO in run.roles else "EMSP"
    for role, country, party in run.parties:
        if role == wanted:
            return country, party
    raise Skipped(f"the platform's credentials name no {wanted}")


def _party_in(answer: Answer, direction: str) -> Party | None:
    country = answer.headers.get(f"{direction}-country-code")
    party = answer.headers.get(f"{direction}-party-id")
    return (country, party) if country and party else None


def _folded(party: Party) -> Party:
    return party[0].upper(), party[1].upper()


def _need_cpo(run: Run) -> str:
    if CPO not in run.roles:
        raise Skipped("only a CPO has lists of its own here")
    return run.bookings_url


def is_whole_seconds(text: str) -> bool:
    try:
        moment: datetime = read_time(text)
    except ValueError:
        return False
    return moment.microsecond == 0 and "." not in text


LINES = (
    Line(14, "X-Request-ID and X-Correlation-ID are echoed, or made up", message_ids),
    Line(15, "Answers swap the routing headers; configuration modules have none", routing),
    Line(
        16, "A party that is addressed gives its own data only; an unknown one 404 or 2001", addressed_party
    ),
    Line(17, "No JSON is HTTP 400; a missing field is HTTP 200 with 2001", malformed),
    Line(19, "Lists have X-Total-Count, X-Limit, and Link while there is more", paging),
    Line(20, "date_from is inclusive, date_to exclusive", date_bounds),
    Line(21, "Crawling while an object changes loses none", crawling),
    Line(24, "Ids and parties compare without regard to case", folded_case),
)
AT_THE_END = (
    Line(13, "Every answer has status_code and a timestamp in Z; errors have no data", envelopes),
    Line(23, "Times with an offset are read rightly, and never sent", times),
)
