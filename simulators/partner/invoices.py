"""What is invoiced, in both roles: which CDRs an invoice is about, sent and received (OCPI 2.3.0 edition 2,
mod_invoice_reconciliation). No amount travels: each side adds up its own CDRs."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from simulators.partner.charging import ChargingDesk
from simulators.partner.ocpi_format import Json, Refusal, write_time
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.received_objects import ReceivedObjects
from simulators.partner.requests import Request, RoutedAnswer, page_of
from simulators.partner.state_file import StateFile

MODULE = "invoicereconciliation"
KEY = ("country_code", "party_id", "id")
REQUIRED = (*KEY, "invoice_id", "cdrs", "last_updated")


@dataclass(frozen=True)
class Reading:
    """What our own CDRs say of somebody's invoice: `total` is before taxes."""

    total: float
    unknown: list[str]
    repeated: list[str]


class InvoiceDesk:
    """`push_soon("invoice_record", id)` is told each record of ours that is new."""

    def __init__(
        self,
        settings: PartnerSettings,
        state: StateFile,
        charging: ChargingDesk,
        received: ReceivedObjects,
        push_soon: Callable[[str, str], None],
    ) -> None:
        self._settings, self._state, self._push_soon = settings, state, push_soon
        self._charging, self._received = charging, received

    def records(self) -> dict[str, Json]:
        """Ours, by id."""
        found: dict[str, Json] = self._state.get("invoice_records", {})
        return found

    def invoice(self, invoice_id: str, cdr_ids: list[str]) -> Json:
        """Say which CDRs an invoice of ours is about: of our sites, or under reverse billing of theirs."""
        record: Json = {
            **self._settings.party, "id": str(uuid.uuid4()), "invoice_id": invoice_id, "cdrs": cdr_ids,
            "last_updated": write_time(self._settings.clock()),
        }  # fmt: skip
        with self._state.changing() as state:
            state.setdefault("invoice_records", {})[record["id"]] = record
        self._settings.say(f"invoice {invoice_id} about {len(cdr_ids)} CDRs")
        self._push_soon("invoice_record", record["id"])
        return record

    def customer(self, record: Json) -> tuple[str, str] | None:
        """Whose drivers its CDRs are about, where they are ours."""
        token = next(
            (
                self._charging.cdrs()[one]["cdr_token"]
                for one in record["cdrs"]
                if one in self._charging.cdrs()
            ),
            None,
        )
        return (token["country_code"], token["party_id"]) if token else None

    def read(self, record: Json) -> Reading:
        """A record of the other platform's against the CDRs that we have: theirs, or under reverse billing ours."""
        theirs = {cdr["id"].upper(): cdr for cdr in self._received.of("cdrs").values()}
        known = {**theirs, **{name.upper(): cdr for name, cdr in self._charging.cdrs().items()}}
        named = Counter(str(name).upper() for name in record["cdrs"])
        return Reading(
            total=round(sum(_before_taxes(known[name]) for name in named if name in known), 4),
            unknown=[name for name in named if name not in known],
            repeated=[name for name, times in named.items() if times > 1],
        )


class InvoiceRecordsSender:
    identifier, role, side, path = MODULE, "SENDER", "cpo", MODULE

    def __init__(self, desk: InvoiceDesk) -> None:
        self._desk = desk

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if request.method != "GET" or rest:
            raise Refusal(2000, "only the list", 405)
        return page_of(request, list(self._desk.records().values()))


class InvoiceRecordsReceiver:
    """New ones are POSTed, known ones PUT, and a mistake is DELETEd."""

    identifier, role, side, path = MODULE, "RECEIVER", "emsp", MODULE

    def __init__(self, received: ReceivedObjects) -> None:
        self._received = received

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if request.method == "POST" and not rest:
            return self._new(request.body)
        if not rest:
            raise Refusal(2000, "POST a record, or name one", 405)
        self._received.check_owner(rest, "", length=3)
        known = self._received.find(MODULE, rest)
        if request.method == "GET":
            return RoutedAnswer(known)
        if request.method == "DELETE":
            self._received.forget(MODULE, rest)
            return RoutedAnswer(None)
        if request.method != "PUT":
            raise Refusal(2000, "GET, PUT or DELETE", 405)
        _check(request.body)
        if [str(request.body[name]).upper() for name in KEY] != [part.upper() for part in rest]:
            raise Refusal(2001, f"{', '.join(KEY)} are those of the path")
        self._received.keep(MODULE, rest, request.body)
        return RoutedAnswer(None)

    def _new(self, record: object) -> RoutedAnswer:
        _check(record)
        assert isinstance(record, dict)
        key = [str(record[name]) for name in KEY]
        if not self._received.is_owned(key, ""):
            raise Refusal(2001, "party_id is none of your parties")
        if "/".join(key).upper() in self._received.of(MODULE):
            raise Refusal(2001, "id is known: PUT what is different")
        self._received.keep(MODULE, key, record)
        return RoutedAnswer(None, 201)


def _check(record: object) -> None:
    """Raises Refusal."""
    if not isinstance(record, dict) or not all(record.get(name) for name in REQUIRED):
        raise Refusal(2001, f"{', '.join(REQUIRED)} are required")
    if not isinstance(record["cdrs"], list) or not all(isinstance(each, str) for each in record["cdrs"]):
        raise Refusal(2001, "cdrs is a list of ids")


def _before_taxes(cdr: Json) -> float:
    total = cdr["total_cost"]
    return float(total.get("before_taxes", total.get("excl_vat", 0)))
