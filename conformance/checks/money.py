"""Records and prices, lines 85 to 87: what an eMSP makes of records, and prices as both versions have them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal

from conformance.cpo_objects import CpoObjects
from conformance.run import CPO, EMSP, Fault, Line, Run, Skipped
from conformance.wire import Answer, Json, NoAnswer

LEAVES_RECORDS = "leaves a CDR and its credit there (--post-cdrs)"
NO_CREDITS = "there is no credit CDR of ours there"
# Names of a price before and after taxes, by version.
PRICES = {"2.3.0": ("before_taxes", "taxes"), "2.2.1": ("excl_vat", "incl_vat")}


def posted_twice(run: Run) -> str:
    record = _record(run)
    first, again = _post(run, record), _post(run, record)
    run.success(first)
    run.success(again)
    if first.status != 201 or not first.headers.get("Location"):
        raise Fault(f"{first}; HTTP 201 with a Location is right")
    if again.headers.get("Location") != first.headers["Location"]:
        raise Fault(f"posted twice it is at {first.headers['Location']} and {again.headers.get('Location')}")
    if (kept := run.get(first.headers["Location"])).get("id") != record["id"]:
        raise Fault(f"GET of its Location gives {kept.get('id')}")
    run.refused(_post(run, {**record, "total_energy": record["total_energy"] + 1}), 2001)
    run.noted["record"] = record
    return f"{record['id']} of nobody's session"


def credited(run: Run) -> str:
    """Negative totals are for credits alone. The credit takes back what line 86 left."""
    if not run.settings.posts_cdrs:
        raise Skipped(LEAVES_RECORDS)
    if "record" not in run.noted:
        raise Skipped("the record itself was not taken")
    record, mine = run.noted["record"], _mine(run)
    credit = mine.credit_of(record, run.version)
    without = {name: value for name, value in credit.items() if not name.startswith("credit")}
    run.refused(_post(run, {**without, "id": f"{record['id']}N"}), 2001)
    answer = _post(run, credit)
    run.success(answer)
    return f"{credit['id']} takes back {record['id']}"


def credits_there(run: Run) -> str:
    """What the platform has credited itself, where it has."""
    found = [one for one in run.list(run.endpoint("cdrs", "SENDER")) if one.get("credit")]
    if not found:
        raise Skipped(NO_CREDITS)
    for one in found:
        run.conforms("CDR", one)
        if not one.get("credit_reference_id"):
            raise Fault(f"credit {one['id']} names no original")
    return f"{len(found)} of them"


def _record(run: Run) -> Json:
    if not run.settings.posts_cdrs:
        raise Skipped(LEAVES_RECORDS)
    for role, country, party in run.parties:
        if role == EMSP:
            return _mine(run).cdr((country, party), run.version)
    raise Skipped("the platform's credentials name no EMSP")


def _mine(run: Run) -> CpoObjects:
    found: CpoObjects = run.noted["objects"]
    return found


def _post(run: Run, record: Json) -> Answer:
    return run.caller.send("POST", run.endpoint("cdrs", "RECEIVER"), record)


def note_prices(run: Run) -> None:
    """Of what we may read under the version that is agreed right now."""
    found: dict[str, tuple[Decimal, Decimal | None]] = {}
    for module in ("cdrs", "tariffs"):
        with suppress(Skipped, Fault, NoAnswer):
            for one in run.list(run.endpoint(module, "SENDER")):
                found |= dict(_prices(one, f"{module} {one['id']}", run.version))
    run.noted.setdefault("prices", {})[run.version] = found


def _prices(value: Json, path: str, version: str) -> Iterator[tuple[str, tuple[Decimal, Decimal | None]]]:
    before, after = PRICES[version]
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _prices(one, f"{path}.{number}", version)
    elif isinstance(value, dict) and before in value:
        yield path, (_exact(value[before]), _with_taxes(value, after))
    elif isinstance(value, dict) and "price" in value:
        yield path, (_exact(value["price"]), _exact(value["vat"]) if "vat" in value else None)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _prices(one, f"{path}.{name}", version)


def _with_taxes(price: Json, name: str) -> Decimal | None:
    if name not in price:
        return None
    if name == "incl_vat":
        return _exact(price[name])
    return _exact(price["before_taxes"]) + sum(_exact(tax["amount"]) for tax in price[name])


def _exact(number: float) -> Decimal:
    return Decimal(str(number))


def converted(run: Run) -> str:
    """Every total that stands in both versions of an object is the same."""
    by_version = run.noted.get("prices", {})
    if len(by_version) < len(PRICES):
        raise Skipped("only one version is offered that we speak, too")
    newer, older = (by_version[version] for version in PRICES)
    shared = newer.keys() & older.keys()
    for path in sorted(shared):
        if newer[path][0] != older[path][0]:
            raise Fault(f"{path} is {newer[path][0]} in 2.3.0 and {older[path][0]} in 2.2.1")
        told = (newer[path][1], older[path][1])
        if None not in told and told[0] != told[1]:
            raise Fault(f"{path} is with taxes {told[0]} in 2.3.0 and {told[1]} in 2.2.1")
    if not shared:
        raise Skipped("no Tariff and no CDR that we may read has a price in both versions")
    records = len({path.split(".")[0] for path in shared if path.startswith("cdrs ")})
    return f"{len(shared)} prices, those of {records} CDRs among them"


LINES = (
    Line(86, "A CDR posted twice has one Location; another under its id gives 2001", posted_twice, EMSP),
    Line(85, "A credit CDR negates total_cost alone and names the original", credited, EMSP),
    Line(85, "A credit CDR negates total_cost alone and names the original", credits_there, CPO),
)
AFTER_BOTH_VERSIONS = (Line(87, "Prices convert between 2.2.1 and 2.3.0 without loss", converted, CPO),)
