"""A partner's list of 100,000 tokens, kept page by page as a pull keeps it, against decoding the same pages and copying the same
columns into a table without an index.

Pages of 1,000 take turns. The list is read twice: nothing of it is there the first time, all of it the second. Memory is that of
this process after the first pages and after the last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from benchmarks.result import Result
from roaming.models import Partner, PartnerPull
from roaming.ocpi import partner_json
from roaming.ocpi.client import Peer
from roaming.outbound import pulls
from roaming.outbound.reader_table import LISTS
from tests.roaming.partners import make_partner

TOKENS, PAGE = 100_000, 1_000
# Memory that a Python process gains while it reads the first pages is none of the list's length.
WARM_PAGES, ROOM_KB = 10, 8_000
PARTY = ("SE", "FLT")

_BARE = """
CREATE TABLE bare_token (
    country_code text, party_id text, uid text, type text, contract_id text, visual_number text, group_id text,
    valid boolean, whitelist text, told jsonb, last_updated timestamptz
)
"""
_COLUMNS = (
    "country_code", "party_id", "uid", "type", "contract_id", "visual_number", "group_id", "valid", "whitelist",
)  # fmt: skip


def run(names: list[str]) -> Iterator[Result]:
    partner = make_partner("FLT", country_code="SE")
    PartnerPull.objects.create(partner=partner, module="token", next_at=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(_BARE)
    first, bare, memory = _read_all(partner)
    again, bare_again, _ = _read_all(partner)
    ratio, ratio_again = sum(first) / sum(bare), sum(again) / sum(bare_again)
    yield Result("tokens_100000", max(ratio, ratio_again), "<= 3", {
        "first": round(ratio, 2),
        "again": round(ratio_again, 2),
        "page_ms": round(1000 * median(first), 1),
        "page_again_ms": round(1000 * median(again), 1),
        "bare_page_ms": round(1000 * median(bare), 1),
        "memory_mb_after_10_pages": round(memory[WARM_PAGES] / 1024, 1),
        "memory_mb_after_all": round(memory[-1] / 1024, 1),
    })  # fmt: skip
    assert partner.organisation.tokens.count() == TOKENS
    if memory[-1] - memory[WARM_PAGES] > ROOM_KB:
        raise RuntimeError(f"Reading on took {memory[-1] - memory[WARM_PAGES]} kB more")


def _read_all(partner: Partner) -> tuple[list[float], list[float], list[int]]:
    """Seconds of each page, ours and bare, and kilobytes after each."""
    now = timezone.now()
    pull = pulls.Pull(partner.pk, LISTS["token"], now, is_complete=True)
    crawl = pulls.Crawl(Peer("token"), "https://partner.example/tokens", {}, PARTY)
    ours, bare, memory = [], [], []
    for number in range(TOKENS // PAGE):
        content = _page(number)
        began = perf_counter()
        pulls.keep_page(pull, crawl, partner_json.parsed(content)["data"], now=now)
        between = perf_counter()
        _copy(json.loads(content)["data"])
        ours.append(between - began)
        bare.append(perf_counter() - between)
        memory.append(_resident_kb())
    began = perf_counter()
    pulls.finished(pull, now=now)
    ours[-1] += perf_counter() - began
    return ours, bare, memory


def _copy(tokens: list[dict[str, Any]]) -> None:
    columns = ", ".join((*_COLUMNS, "told", "last_updated"))
    with (
        transaction.atomic(),
        connection.cursor() as cursor,
        cursor.copy(f"COPY bare_token ({columns}) FROM STDIN") as copy,
    ):
        for token in tokens:
            row = [token.get(name) for name in _COLUMNS]
            copy.write_row((*row, json.dumps(token), token["last_updated"]))


def _page(number: int) -> bytes:
    tokens = [_token(number * PAGE + n) for n in range(PAGE)]
    return json.dumps({"data": tokens, "status_code": 1000, "timestamp": "2026-01-01T00:00:00Z"}).encode()


def _token(number: int) -> dict[str, Any]:
    """As a card of a large network looks; every tenth belongs to a group."""
    token = {
        "country_code": "SE", "party_id": "FLT", "uid": f"04{number:012X}", "type": "RFID",
        "contract_id": f"SEFLTC{number:08}", "visual_number": f"SE-FLT-{number:08}", "issuer": "Fleet Cards",
        "valid": number % 50 != 0, "whitelist": "ALLOWED", "language": "sv", "last_updated": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    return {**token, "group_id": f"G-{number // 100}"} if number % 10 == 0 else token


def _resident_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])
