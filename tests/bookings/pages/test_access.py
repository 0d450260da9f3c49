"""Every address as every role: what is not yours is not there, and no page says more of others than that a time is taken.

A new address has to be entered in the tables below before this passes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import transaction
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoDbBlocker

from bookings import operations
from bookings.actors import Actor
from bookings.billing.disputes import raise_dispute
from bookings.models import (
    AcceptedFinding,
    AgreementProposal,
    Booking,
    BookingEvent,
    BookingSeries,
    ChargeDetailRecord,
    Closure,
    Dispute,
    IncomingInvoice,
    PriceCheck,
    Tariff,
    TariffBinding,
    TariffVersion,
    Token,
    Trailer,
    Trip,
    Vehicle,
    WaitlistEntry,
)
from bookings.operations import kept_evses
from bookings.operations.closure_plan import Outage
from bookings.pages.live import rendering
from bookings.pages.live.audiences import listeners
from bookings.pages.urls import urlpatterns
from depots.models import (
    Charger,
    ChargerCommand,
    ChargerUpload,
    ExpectedCharger,
    Membership,
    Organisation,
    RefusedConnection,
    SettingsTemplate,
    TrustedRoot,
    User,
)
from depots.operations.api_tokens import make_api_token
from tests.bookings.billing.billed import make_buyer, make_seller, make_written_invoice
from tests.bookings.people import client_of
from tests.factories import (
    MANAGER,
    NOW,
    book_slot,
    make_charger,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_rule,
    make_user,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import (
    make_bound,
    make_cdr,
    new_bank_order,
    new_incoming_invoice,
    new_prepaid_entry,
    per_kwh,
)
from tests.roaming.fuzzing.checks import digests_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

PLACE = {"name": "Venlo", "evse_uid": "CP-1-1"}
NOTHING = {"before_taxes": "0", "taxes": []}
NO_LINES = {
    "currency": "EUR", "lines": [], "total": NOTHING, "fixed": NOTHING, "energy": NOTHING, "time": NOTHING,
    "parking": NOTHING, "reservation": NOTHING,
}  # fmt: skip

# Everybody who looks: the fleet that booked, a rival fleet that may book at the same depot, those who look after the
# depot, those of another operator, who belong nowhere, and who has not signed in.
FLEET = {"dispatcher", "viewer", "admin"}
BOOKERS = {"dispatcher", "admin"}
DEPOT = {"manager", "keeper"}
REVENUE = {"manager", "accountant"}
SIGNED_IN = FLEET | DEPOT | {"accountant"} | {"rival", "foreign_manager", "nobody"}
ROLES = sorted(SIGNED_IN | {"stranger"})

# Who may open a page, and who may send something to it. Without an entry nobody may: 404, or 405 for a method it lacks.
READERS = {
    "home": SIGNED_IN,
    "agreements": FLEET | DEPOT | {"rival", "foreign_manager"},
    "agreement": DEPOT,
    "agreement_proposal": FLEET | DEPOT,
    "agreement_ask": BOOKERS | {"rival"},
    **{key: {"manager"} for key in ("agreement_end", "agreement_rules", "agreement_offer", "depot_rules")},
    "slots": BOOKERS | {"rival"},
    **dict.fromkeys(("trip_plan", "places"), BOOKERS | {"rival"}),
    "trips": FLEET | {"rival", "keeper"},
    "trip": FLEET,
    "waitlist": FLEET | {"rival", "keeper"},
    "series_list": FLEET | {"rival", "keeper"},
    "series": FLEET,
    "series_change": BOOKERS,
    "series_cancellation": BOOKERS,
    "repeat": BOOKERS,
    "many": BOOKERS | {"rival"},
    "bookings": FLEET | {"rival", "keeper"},
    "booking": FLEET | DEPOT,
    "cost": FLEET | DEPOT,
    "charging_there": FLEET | DEPOT,
    "change": BOOKERS,
    "delay": BOOKERS,
    "cancellation": BOOKERS,
    "requests": DEPOT | {"foreign_manager"},
    "decision": {"manager"},
    "invoices": SIGNED_IN - {"nobody"},
    "unbilled": {"accountant"},
    **dict.fromkeys(("invoice", "invoice_pdf", "invoice_xml", "invoice_records"), FLEET | REVENUE),
    "reconciliation": SIGNED_IN - {"nobody"},
    "findings_csv": SIGNED_IN - {"nobody"},
    **dict.fromkeys(("incoming_invoice", "incoming_invoice_file"), FLEET),
    "incoming_invoice_add": {"admin", "accountant"},
    "incoming_invoice_change": {"admin"},
    "yard": DEPOT,
    "availability": DEPOT,
    "board": FLEET | DEPOT | {"rival"},
    "board_booking": DEPOT,
    "charger": DEPOT,
    "charger_command": {"manager"},
    "charger_file": {"manager"},
    "charger_inventory": DEPOT,
    "settings_templates": {"manager", "foreign_manager"},
    "trusted_roots": {"manager", "foreign_manager"},
    "api_tokens": {"admin"},
    "settings_template": {"manager"},
    "settings_template_add": {"manager"},
    "new_chargers": {"manager"},
    "commission": {"manager"},
    "closures": DEPOT,
    "power_limit": {"manager"},
    "close": {"manager"},
    "terms": {"manager"},
    "tariffs": {"viewer", "admin", "accountant"} | DEPOT | {"foreign_manager"},
    "tariff": DEPOT | {"accountant"},
    "tariff_add": {"manager", "foreign_manager", "accountant"},
    "tariff_renewal": REVENUE,
    "closure": {"manager"},
    "closure_act": {"manager"},
    "offer": {"manager"},
    "vehicles": FLEET | {"rival", "keeper"},
    "vehicle_add": BOOKERS | {"rival"},
    "vehicle": FLEET,
    "trailer_add": BOOKERS | {"rival"},
    "trailer": BOOKERS,
    "tokens": FLEET | {"rival", "keeper"},
    "token_add": BOOKERS | {"rival"},
    "token": BOOKERS,
    "particulars": {"admin"},
    "bank": {"admin"},
    "balances": FLEET | {"rival", "keeper", "accountant"},
    "balance": FLEET | {"accountant"},
    "payment_terms": {"admin"},
    "agreement_payment_terms": {"accountant"},
    "bank_order": {"admin"},
    "costs": FLEET | {"rival", "keeper", "accountant"},
    "costs_months": FLEET | {"rival", "keeper", "accountant"},
    "costs_csv": FLEET | {"rival", "keeper", "accountant"},
    "revenue": {"manager", "foreign_manager", "admin", "accountant"},
    "revenue_months": {"manager", "foreign_manager", "admin", "accountant"},
    "revenue_csv": {"manager", "foreign_manager", "admin", "accountant"},
    "record": FLEET | REVENUE,
    "dispute": BOOKERS,
    "waiver": REVENUE,
    "dispute_answer": REVENUE,
}
WRITERS = {
    **{
        key: {"manager"}
        for key in (
            "agreement_acceptance",
            "agreement_end",
            "agreement_offer",
            "agreement_refusal",
            "agreement_reopening",
            "agreement_rule_removal",
            "agreement_rules",
            "depot_listing",
            "depot_rule_removal",
            "depot_rules",
        )
    },
    "agreement_ask": BOOKERS | {"rival"},
    "agreement_withdrawal": BOOKERS,
    "home": SIGNED_IN,
    "reserve_test": {"manager"},
    "kept_release": {"manager"},
    "holds": BOOKERS | {"rival"},
    "trips": BOOKERS | {"rival"},
    "trip_cancellation": BOOKERS,
    "waitlist": BOOKERS | {"rival"},
    "waitlist_acceptance": BOOKERS,
    "waitlist_leaving": BOOKERS,
    "series_change": BOOKERS,
    "series_cancellation": BOOKERS,
    "repeat": BOOKERS,
    "repeat_preview": BOOKERS,
    # a slot of one's own fleet, that the form names: test_series_pages.py
    **{key: set() for key in ("repeat_slot", "repeat_slot_preview")},
    "many": BOOKERS | {"rival"},
    "many_rows": BOOKERS | {"rival"},
    "many_copy": BOOKERS | {"rival"},
    "bookings": BOOKERS | {"rival"},
    "confirmation": BOOKERS,
    "release": BOOKERS,
    "change": BOOKERS,
    "arrival": {"manager"},
    "arrival_withdraw": {"manager"},
    "delay": BOOKERS,
    "cancellation": BOOKERS,
    "seen": BOOKERS,
    "changed_price": BOOKERS,
    "delay_outlook": BOOKERS,
    "match_session": BOOKERS,
    "start": BOOKERS | {"manager"},
    "stop": BOOKERS | {"manager"},
    # of a booking at a partner's depot alone: test_limits_at_partners.py
    **{key: set() for key in ("limit_there", "lift_limit_there", "show_limit_there", "unlock_there")},
    "undo": BOOKERS | {"rival", "manager", "foreign_manager"},
    "decision": {"manager"},
    **{key: {"admin"} for key in ("bank_debits", "bank_transfers", "bank_statements")},
    "agreement_payment_terms": {"accountant"},
    "balance_top_ups": {"accountant"},
    "balance_pay_outs": {"accountant"},
    "invoice_run": {"admin", "accountant"},
    "self_billing": {"admin", "accountant"},
    "missing_records": set(),  # of a session or booking that the form names: test_reconciliation_pages.py
    **{
        key: {"admin", "accountant"}
        for key in ("incoming_invoice_add", "incoming_invoice_files", "acceptances", "price_checks")
    },
    **{key: {"admin"} for key in ("incoming_invoice_change", "incoming_invoice_state", "reopening")},
    **{
        key: {"accountant"}
        for key in ("invoice_payments", "invoice_reminders", "invoice_credit", "invoice_sending")
    },
    "board_move": {"manager"},
    "board_end": {"manager"},
    "board_cancellation": {"manager"},
    "close": {"manager"},
    "terms": {"manager"},
    "charger_command": {"manager"},
    "charger_settings": {"manager"},
    "settings_template": {"manager"},
    "settings_template_add": {"manager"},
    "settings_template_removal": {"manager"},
    "trusted_root_add": {"manager"},
    "api_token_add": {"admin"},
    "api_token_revocation": {"admin"},
    "trusted_root_removal": {"manager"},
    "tariff_add": {"manager", "foreign_manager", "accountant"},
    "tariff_preview": {"manager", "foreign_manager", "accountant"},
    "tariff_renewal": REVENUE,
    "tariff_withdrawal": REVENUE,
    **{
        key: {"manager"}
        for key in ("commission", "expected", "unexpected", "charger_password", "charger_new_password")
    },
    "clearing": {"manager"},
    "offer": {"manager"},
    **dict.fromkeys(("offer_acceptance", "offer_refusal"), BOOKERS),
    "closure_undo": {"manager"},
    "lifting": {"manager"},
    "power_limit": {"manager"},
    "power_limit_lifting": {"manager"},
    "vehicle_add": BOOKERS | {"rival"},
    "vehicle": BOOKERS,
    "vehicle_retirement": BOOKERS,
    "vehicle_return": BOOKERS,
    "trailer_add": BOOKERS | {"rival"},
    "trailer": BOOKERS,
    "trailer_retirement": BOOKERS,
    "trailer_return": BOOKERS,
    "token_add": BOOKERS | {"rival"},
    "token": BOOKERS,
    "token_block": BOOKERS,
    "token_release": BOOKERS,
    "particulars": {"admin"},
    "dispute": BOOKERS,
    "record_booking": BOOKERS,
    "waiver": REVENUE,
    "dispute_answer": REVENUE,
}
NAMES = [pattern.name for pattern in urlpatterns]


@dataclass
class World:
    """Two fleets booked at one depot: ours, whose things the addresses name, and a rival's."""

    people: dict[str, User]
    arguments: dict[str, Any]
    secrets: dict[str, list[str]]  # of whom → what nobody else may read
    bookings: dict[str, Booking]
    sessions: dict[str, str]  # of each person, signed in once

    def client(self, role: str) -> Client:
        """A browser of its own each time."""
        client = Client()
        if role in self.sessions:
            client.cookies[settings.SESSION_COOKIE_NAME] = self.sessions[role]
        return client

    def url(self, name: str) -> str:
        pattern = next(p for p in urlpatterns if p.name == name)
        wanted = pattern.pattern.converters
        return reverse(f"bookings:{name}", kwargs={key: self.arguments[key] for key in wanted})


@pytest.fixture
def world(built: World) -> World:
    """As it was built: what a test changes is undone with its transaction, inside the one that the world was built in."""
    return replace(built, arguments=dict(built.arguments), bookings=copy.deepcopy(built.bookings))


@pytest.fixture(scope="module")
def built(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """Built once: it takes longer than most of the tests that walk through it, of which there are hundreds."""
    with django_db_blocker.unblock(), transaction.atomic():
        with time_machine.travel(NOW, tick=False):
            world = _build()
        yield world
        transaction.set_rollback(True)


def _build() -> World:
    ours, rival = (
        make_buyer("Nordfracht Flotte", legal_name="Nordfracht Flotte GmbH"),
        make_fleet("Rival Fracht"),
    )
    operator, other = make_seller("Ladepark"), make_operator("Anderswo Lader")
    depot = make_depot(
        operator, code="LP-1", name="Venlo", is_listed=True, terms={"approval": True, "decision_min": 600}
    )
    make_depot(other, code="AL-1", name="Anderswo", open_to_all=False)
    evse = make_evse(charger=make_charger(depot, identity="CP-1"))
    vehicles = [
        make_vehicle(ours, plate="HH-NF 100", token="04AABBCCDD10"),
        make_vehicle(rival, plate="RV-AL 666", token="04EEFF001122"),
    ]
    mine, theirs = (
        book_slot(
            fleet=vehicle.fleet, option=option_of(evse), period=slot(10 + 2 * n, 11 + 2 * n), vehicle=vehicle, now=NOW,
            actor=Actor.dispatcher(f"somebody@{vehicle.fleet.emsp_party_id.lower()}.example"), plate=vehicle.plate,
        )
        for n, vehicle in enumerate(vehicles)
    )  # fmt: skip
    make_bound(per_kwh("0.40"), depot=depot)
    where = Outage(depot, frozenset({evse.pk}), slot(20, 21))
    act = operations.close_evses(outage=where, reason="Cable", actor=MANAGER, now=NOW)
    closure = act.closures.get()
    kept = kept_evses.keep(mine, "availability", now=NOW)
    people = {
        "dispatcher": make_user(ours),
        "viewer": make_user(ours, Membership.Role.VIEWER),
        "admin": make_user(ours, Membership.Role.ADMIN),
        "rival": make_user(rival),
        "manager": make_user(operator, Membership.Role.DEPOT_MANAGER),
        "keeper": make_user(operator, Membership.Role.VIEWER),
        "foreign_manager": make_user(other, Membership.Role.DEPOT_MANAGER),
        "accountant": make_user(operator, Membership.Role.ACCOUNTANT),
        "nobody": User.objects.create_user("nobody@fleet.example", "berth-demo"),
    }
    token = vehicles[0].tokens.get()
    records = [
        make_cdr(depot=depot, customer=booking.fleet, booking=booking, plate=booking.plate, bill=NO_LINES, place=PLACE,
                 token={"uid": booking.tokens.get().uid})
        for booking in (mine, theirs)
    ]  # fmt: skip
    dispute = raise_dispute(cdr_id=records[0].pk, reason="Not ours", actor=MANAGER, now=NOW)
    for fleet in (ours, rival):
        new_prepaid_entry(operator, fleet).save()
    order = new_bank_order(ours)
    order.save()
    template = SettingsTemplate.objects.create(operator=operator, protocol="1.6")
    expected = ExpectedCharger.objects.create(operator=operator, identity="CP-NEW", created_at=NOW)
    refused = RefusedConnection.objects.create(
        identity="CP-NEW", address="203.0.113.9", reason="unknown", first_at=NOW, last_at=NOW
    )
    root = TrustedRoot.objects.create(
        operator=operator, name="CN=V2G Root", fingerprint="0" * 64, not_after=NOW, added_at=NOW
    )
    agreement = depot.agreements.get()
    proposal = AgreementProposal.objects.create(
        depot=depot, guest=ours, made_by_side="guest", made_at=NOW, made_by_kind="dispatcher"
    )
    trip = Trip.objects.create(
        fleet=ours, status="booked", asked_at=NOW, settled_at=NOW, asked_by_kind="dispatcher"
    )
    Booking.objects.filter(pk=mine.pk).update(trip=trip)
    waiting = WaitlistEntry.objects.create(
        fleet=ours, depot=depot, option=option_of(evse), vehicle=vehicles[0], starts_at=mine.starts_at, ends_at=mine.ends_at,
        waits_until=mine.starts_at, asked_at=NOW, asked_by_kind="dispatcher",
    )  # fmt: skip
    series = _series(mine)
    arguments = {
        "entry_id": waiting.pk,
        "trip_id": trip.pk,
        "series_id": series.pk,
        "proposal_id": proposal.pk, "rule_id": make_rule(agreement, "window").pk,
        "depot_rule_id": make_rule(depot, "window").pk,
        "root_id": root.pk, "api_token_id": make_api_token(organisation=ours, name="planner", now=NOW)[0].pk,
        "refused_id": refused.pk, "expected_id": expected.pk, "trailer_id": Trailer.objects.create(fleet=ours, plate="HH-T 1").pk,
        "booking_id": mine.pk, "vehicle_id": vehicles[0].pk, "token_id": token.pk, "closure_id": closure.pk,
        "act_id": act.pk,
        "code": "LP-1", "identity": "CP-1", "cdr_id": records[0].pk, "dispute_id": dispute.pk, "organisation_id": ours.pk,
        "tariff_id": Tariff.objects.get().pk,
        "order_id": order.pk, "agreement_id": agreement.pk,
        "invoice_id": make_written_invoice(depot, ours).pk, **_of_reconciliation(ours),
        "verb": "restart", "template_id": template.pk, "command_id": _with_log(evse.charger).command_id,
        "uid": evse.uid, "kept_id": kept.pk, "operator_id": operator.pk, "customer_id": ours.pk, "currency": "EUR",
    }  # fmt: skip
    secrets = {
        "ours": ["HH-NF 100", "Nordfracht Flotte", mine.reference, "04AABBCCDD10", "somebody@"],
        "rival": ["RV-AL 666", "Rival Fracht", theirs.reference, "04EEFF001122", "somebody@"],
        "tokens": ["04AABBCCDD10", "04EEFF001122", "somebody@"],
    }
    sessions = {role: client_of(person).session.session_key or "" for role, person in people.items()}
    return World(people, arguments, secrets, {"ours": mine, "rival": theirs}, sessions)


def _of_reconciliation(fleet: Organisation) -> dict[str, Any]:
    incoming = new_incoming_invoice(fleet, file=b"<x/>")
    incoming.save()
    accepted = AcceptedFinding(
        organisation=fleet, key="x", reason="Known", accepted_at=NOW, accepted_by_kind="manager"
    )
    accepted.save()
    return {"incoming_id": incoming.pk, "accepted_id": accepted.pk}


def _series(like: Booking) -> BookingSeries:
    first = operations.SlotRequest(
        fleet=like.fleet, option=like.option, period=slot(10, 11, day=3), vehicle=like.vehicle
    )
    asked = operations.SeriesRequest(rrule="FREQ=DAILY;COUNT=2", first=first)
    return operations.book_series(asked, actor=Actor.dispatcher("somebody@ours.example"), now=NOW)


def _with_log(charger: Charger | None) -> ChargerUpload:
    command = ChargerCommand.objects.create(charger=charger, action="get_diagnostics", created_at=NOW)
    return ChargerUpload.objects.create(
        command=command, secret_hash="x", open_until=NOW, name="log", content=b"1", received_at=NOW
    )


def body_of(answer: Any) -> str:
    return (b"".join(answer.streaming_content) if answer.streaming else answer.content).decode(
        errors="replace"
    )


def hidden_from(role: str, secrets: dict[str, list[str]]) -> list[str]:
    """What somebody may not read on any page."""
    if role in FLEET:
        return secrets["rival"][:-1]
    if role == "rival":
        return secrets["ours"][:-1]
    if role in DEPOT | {"accountant"}:
        return secrets["tokens"]
    return [*secrets["ours"], *secrets["rival"]]


def test_what_money_shows_is_kept_by_no_browser_for_who_signs_in_next(world: World) -> None:
    about = {name for name in READERS if READERS[name] & REVENUE or "bank" in name or "payment" in name}
    kept = [
        name
        for name in sorted(about - {"home", "requests", "yard", "board", "booking", "cost", "charging_there"})
        for role in sorted(READERS[name])
        if (answer := world.client(role).get(world.url(name))).status_code == 200
        and "no-store" not in answer.get("Cache-Control", "")
    ]

    assert sorted(set(kept)) == []


def test_every_address_has_its_readers_and_writers() -> None:
    assert set(NAMES) == READERS.keys() | WRITERS.keys()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_for_its_readers_is_not_there_for_others_and_tells_nothing_of_others(
    world: World, name: str
) -> None:
    answers = {}
    for role in ROLES:
        answer = world.client(role).get(world.url(name))
        answers[role] = answer.status_code
        body = body_of(answer) + answer.get("HX-Trigger", "")
        assert [secret for secret in hidden_from(role, world.secrets) if secret in body] == [], role

    if name not in READERS:
        assert answers == {role: 302 if role == "stranger" else 405 for role in ROLES}
        return
    opened = {role for role, status in answers.items() if status == 200}
    gone_on = {role for role, status in answers.items() if status == 302}
    if name == "home":  # the one page a stranger may see: the way in
        assert opened | gone_on == set(ROLES)
        return
    assert opened == READERS[name]
    assert gone_on == {"stranger"}
    assert {answers[role] for role in SIGNED_IN - READERS[name]} <= {404}


@pytest.mark.parametrize("name", NAMES)
def test_nobody_but_its_writers_changes_anything_and_no_empty_form_is_an_error(
    world: World, name: str
) -> None:
    before = _everything()
    for role in ROLES:
        if role in WRITERS.get(name, ()) or (name == "home" and role == "stranger"):
            continue
        status = world.client(role).post(world.url(name)).status_code

        assert status in {404, 405} if role != "stranger" else status == 302, role
        assert _everything() == before, role
    for role in sorted(WRITERS.get(name, ())):
        assert world.client(role).post(world.url(name)).status_code in {200, 204, 302, 400, 409, 422}, role


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_page_without_its_token_against_forgery_is_refused(world: World, name: str) -> None:
    if name not in WRITERS:
        return
    client = Client(enforce_csrf_checks=True)
    client.cookies[settings.SESSION_COOKIE_NAME] = world.sessions["admin"]
    before = _everything()

    assert client.post(world.url(name)).status_code == 403
    assert _everything() == before


@pytest.mark.parametrize("name", sorted(READERS))
def test_a_part_is_guarded_like_its_page(world: World, name: str) -> None:
    """For everybody who may read it, and for one who may not."""
    for role in [*sorted(READERS[name]), *sorted(SIGNED_IN - READERS[name])[:1]]:
        answer = world.client(role).get(world.url(name), headers={"HX-Request": "true"})

        body = body_of(answer) + answer.get("HX-Trigger", "")
        assert [secret for secret in hidden_from(role, world.secrets) if secret in body] == [], role
        assert (answer.status_code == 404) == (role not in READERS[name]), role


def test_no_stream_tells_anybody_of_others_more_than_that_a_time_is_taken(world: World) -> None:
    keys = [("booking", booking.pk) for booking in world.bookings.values()]
    keys += [("bar", booking.pk) for booking in world.bookings.values()]
    evse = world.bookings["ours"].evse
    assert evse is not None
    keys += [("taken", evse.pk), ("evse", evse.pk), ("requests", evse.depot_id), ("closures", evse.depot_id)]
    keys.append(("charger", evse.charger_id or 0))
    views = rendering.render_all(keys)
    heard_by = listeners(set(world.sessions.values()), NOW)

    for role, session in world.sessions.items():
        audiences = heard_by[session].audiences
        heard = str([seen[name] for seen in views.values() if seen for name in audiences & seen.keys()])

        assert [secret for secret in hidden_from(role, world.secrets) if secret in heard] == [], role
    assert "RV-AL 666" in str(views)  # the depot does hear of it


@pytest.mark.parametrize("role", sorted(FLEET | {"rival", "foreign_manager"}))
def test_a_rivals_booking_is_not_there_under_any_address(world: World, role: str) -> None:
    whose = "ours" if role in {"rival", "foreign_manager"} else "rival"
    other = world.bookings[whose].pk
    client = world.client(role)
    for pattern in urlpatterns:
        if "booking_id" not in pattern.pattern.converters:
            continue
        world.arguments["booking_id"] = other
        url = world.url(str(pattern.name))

        assert {client.get(url).status_code, client.post(url).status_code} <= {404, 405}, pattern.name


def test_a_membership_that_ended_ends_what_could_be_seen(world: World) -> None:
    client = world.client("dispatcher")
    assert client.get(world.url("booking")).status_code == 200

    Membership.objects.filter(user=world.people["dispatcher"]).delete()

    assert client.get(world.url("booking")).status_code == 404


def test_a_depot_whose_agreement_ended_is_no_longer_found(world: World) -> None:
    depot = world.bookings["ours"].depot
    client = world.client("dispatcher")
    assert "Venlo" in client.get("/slots/").content.decode()

    depot.agreements.update(ends_at=NOW - timedelta(minutes=1))

    assert "Venlo" not in client.get("/slots/").content.decode()
    assert client.get(world.url("board")).status_code == 404


def _everything() -> dict[str, str]:
    models = (
        Booking, BookingEvent, Closure, Token, Vehicle, ChargeDetailRecord, Dispute, Tariff, TariffVersion, TariffBinding,
        AcceptedFinding, IncomingInvoice, PriceCheck,
    )  # fmt: skip
    return digests_of(tuple(model._meta.db_table for model in models))
