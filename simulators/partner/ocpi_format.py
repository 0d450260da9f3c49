"""What every OCPI message has: envelopes, times, tokens and routing headers (OCPI 2.3.0, Transport and format)."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
Party = tuple[str, str]  # country code and party id
VERSIONS = ("2.3.0", "2.2.1")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class Refusal(Exception):
    """An answer that is not a yes: OCPI's status code, and HTTP's."""

    def __init__(self, status_code: int, message: str, http_status: int = 200) -> None:
        super().__init__(message)
        self.status_code, self.http_status = status_code, http_status


def envelope(data: Any, now: datetime, *, status_code: int = 1000, message: str = "") -> Json:
    """`data` and `message` are left out where there is none."""
    made: Json = {"status_code": status_code, "timestamp": write_time(now)}
    if message:
        made["status_message"] = message
    return made if data is None else {**made, "data": data}


def read_body(raw: bytes) -> Any:
    """Raises Refusal."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise Refusal(2001, "the body is not JSON", 400) from None


def write_time(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def read_time(value: Any) -> datetime:
    """A DateTime, or one with an offset, as some send it. Raises Refusal."""
    if not isinstance(value, str) or not TIME.fullmatch(value):
        raise Refusal(2001, f"{value!r:.40} is not a DateTime")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise Refusal(2001, f"{value} does not exist") from None


def read_period(holder: Json) -> tuple[datetime, datetime]:
    """Start and end of the `period` of a booking or a request. Raises Refusal."""
    return read_time(holder["period"]["start_date_time"]), read_time(holder["period"]["end_date_time"])


def authorization(token: str) -> str:
    """The header of this token: OCPI 2.2 and later encode it in Base64."""
    return f"Token {base64.b64encode(token.encode()).decode()}"


def tokens_of(authorization_header: str) -> list[str]:
    """What an Authorization header may mean: the decoded token, without a line end that was encoded with it, and as it is."""
    scheme, _, sent = authorization_header.partition(" ")
    if scheme.lower() != "token" or not sent.strip():
        return []
    try:
        decoded = base64.b64decode(sent.strip(), validate=True).decode()
    except ValueError:
        return [sent.strip()]
    return [decoded, decoded.rstrip("\n"), sent.strip()]


def routing(sender: Party, receiver: Party | None = None) -> dict[str, str]:
    """The routing headers of a message between two parties; without a receiver a hub may find out whom it is for."""
    headers = {"OCPI-from-country-code": sender[0], "OCPI-from-party-id": sender[1]}
    if receiver:
        headers |= {"OCPI-to-country-code": receiver[0], "OCPI-to-party-id": receiver[1]}
    return headers


def routed_party(headers: dict[str, str], way: str) -> Party | None:
    """Of a request's routing headers (names in lower case) the party they come "from" or go "to", in capitals."""
    country, party = (headers.get(f"ocpi-{way}-{part}", "") for part in ("country-code", "party-id"))
    return (country.upper(), party.upper()) if country and party else None


def routing_back(headers: dict[str, str]) -> dict[str, str]:
    """The routing headers of an answer: those of the request (in lower case) with from and to exchanged."""
    swapped = {"from": "to", "to": "from"}
    return {
        f"OCPI-{swapped[way]}-{part}": headers[f"ocpi-{way}-{part}"]
        for way in swapped
        for part in ("country-code", "party-id")
        if f"ocpi-{way}-{part}" in headers
    }
