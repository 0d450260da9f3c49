"""Every form that changes something says which version it showed; one that does not is answered 409 and changes nothing.

A new address has to be entered below before this passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import URLPattern, reverse

from bookings import operations
from bookings.billing.bank import account_version, collectable, payable
from bookings.billing.versions import billing_version, invoice_version, order_version
from bookings.maintenance.charger_requests import checked_settings, in_the_way, settings_version
from bookings.models import (
    AccessRule,
    AgreementProposal,
    BankOrder,
    Booking,
    BookingEvent,
    BookingRequest,
    BookingToken,
    Closure,
    ClosureAct,
    ClosureStep,
    ExternalLimit,
    Invoice,
    Payment,
    Reminder,
    RemoteSession,
    Tariff,
    TariffBinding,
    TariffVersion,
    TermsOverride,
    Token,
    Trailer,
    Vehicle,
)
from bookings.operations import closure_plan, kept_evses
from bookings.operations.access_rules import rules_version
from bookings.operations.agreements import ask_for_access, listing_version, offer_access
from bookings.operations.closure_acts import act_version
from bookings.operations.commission_charger import refused_connection_version
from bookings.operations.end_agreement import end_agreement, ending_version
from bookings.operations.limit_power import limits_version
from bookings.operations.set_terms import terms_version
from bookings.operations.tariffs import version_of_tariff
from bookings.pages.charger_security import password_version
from bookings.pages.urls import urlpatterns
from bookings.rules.content_version import version_of
from depots.models import (
    Agreement,
    Charger,
    ChargerCommand,
    Depot,
    ExpectedCharger,
    Membership,
    Organisation,
    RefusedConnection,
    SettingsTemplate,
    TrustedRoot,
)
from depots.operations.trusted_roots import trust_root
from depots.periods import Period
from tests.bookings.billing.billed import make_buyer, record
from tests.bookings.billing.test_bank import operator_with, statement
from tests.bookings.enforcement.charging_trucks import charging
from tests.bookings.enforcement.online_chargers import TERMS, armed, book, evse_online
from tests.bookings.people import client_of, seen
from tests.contract_certificates import authorities
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    change_slot,
    make_charger,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_rule,
    make_user,
    open_depot,
    option_of,
    place_hold,
    slot,
)
from tests.money_factories import make_bound, per_kwh
from tests.roaming.fuzzing.checks import digests_of
from tests.roaming.invoicing import invoicing_partner

pytestmark = pytest.mark.django_db


@dataclass
class Sent:
    """A form that would be carried out: to which address, of what, with which fields beside `version`; who sends it."""

    of: Any
    arguments: dict[str, Any]
    fields: dict[str, Any]
    by_depot: bool = False
    version: int | None = None  # of a form that shows something else than one row

    @cached_property
    def browser(self) -> Client:
        return sender(self)


def confirmed(**terms: Any) -> Booking:
    return book(evse_online(make_depot(terms={**TERMS, **terms})))


def held() -> Booking:
    evse = evse_online()
    return place_hold(
        fleet=confirmed().fleet, option=option_of(evse), period=slot(10, 11), actor=DISPATCHER, now=NOW
    )


def of_booking(booking: Booking, **fields: Any) -> Sent:
    return Sent(booking, {"booking_id": booking.pk}, fields)


def at_depot(booking: Booking, **fields: Any) -> Sent:
    arguments = {"code": booking.depot.code, "booking_id": booking.pk}
    return Sent(booking, arguments, fields, by_depot=True)


def of_session_elsewhere() -> Sent:
    """A session at a partner's depot, of a card that a booking there carries."""
    booking, operator = confirmed(), make_operator(is_partner=True)
    Depot.objects.filter(pk=booking.depot_id).update(operator=operator, is_mirror=True)
    Booking.objects.filter(pk=booking.pk).update(route=Booking.Route.OUTBOUND)
    card = booking.tokens.get()
    session = RemoteSession.objects.create(
        operator=operator, depot=booking.depot, fleet=booking.fleet, remote_id="S-1", status="completed",
        token_uid=card.uid, token_type=card.type, started_at=booking.starts_at, ended_at=booking.ends_at,
        energy_wh=80_000, told_at=NOW, received_at=NOW,
    )  # fmt: skip
    booking.refresh_from_db()
    return of_booking(booking, session=session.pk)


def to_change() -> Sent:
    booking = confirmed()
    cards = [str(token.pk) for token in Token.objects.filter(fleet=booking.fleet)]
    times = {"starts_at": "2030-01-15T12:00", "ends_at": "2030-01-15T13:00"}
    return of_booking(booking, vehicle=booking.plate, tokens=cards, **times)


def to_delay() -> Sent:
    return of_booking(confirmed(), minutes="15", other="")


def of_arrival(*, is_here: bool = False) -> Sent:
    booking = confirmed()
    Booking.objects.filter(pk=booking.pk).update(starts_at=NOW, arrived_at=NOW if is_here else None)
    return replace(of_booking(booking), by_depot=True)


def changed_by_depot() -> Sent:
    booking = confirmed()
    change_slot(booking_id=booking.pk, period=slot(12, 13), by="depot", actor=MANAGER, now=NOW)
    return of_booking(booking)


def to_decide() -> Sent:
    sent = of_booking(confirmed(approval=True), decision="accept", reason="")
    sent.by_depot = True
    return sent


def to_move() -> Sent:
    booking = confirmed()
    assert booking.evse is not None
    times = {"starts_at": "2030-01-15T12:00", "ends_at": "2030-01-15T13:00"}
    return at_depot(booking, evse=booking.evse.uid, **times)


def to_offer() -> Sent:
    sent = to_move()
    sent.arguments = {"booking_id": sent.of.pk}
    return sent


def with_offer() -> Booking:
    offer = operations.CounterOffer(period=slot(12, 13))
    return operations.offer_instead(booking_id=confirmed().pk, offer=offer, actor=MANAGER, now=NOW)


def at_a_charger() -> Booking:
    booking = charging()
    Booking.objects.filter(pk=booking.pk).update(quote={})
    return booking


def closed() -> Closure:
    booking = confirmed()
    assert booking.evse is not None
    return operations.close_evse(evse=booking.evse, period=slot(10, 11), actor=MANAGER, now=NOW)


def of_closure(version: Callable[[Closure], int]) -> Sent:
    closure = closed()
    arguments = {"code": closure.evse.depot.code, "closure_id": closure.pk}
    return Sent(closure, arguments, {}, by_depot=True, version=version(closure))


def of_closure_act() -> Sent:
    booking = confirmed()
    assert booking.evse is not None
    where = closure_plan.Outage(booking.depot, frozenset({booking.evse.pk}), slot(10, 11))
    act = operations.close_evses(outage=where, actor=MANAGER, now=NOW)
    return Sent(act, {"code": act.depot.code, "act_id": act.pk}, {}, by_depot=True, version=act_version(act))


def to_close() -> Sent:
    evse = evse_online()
    fields = {"evse": evse.uid, "starts_at": "2030-01-15T12:00", "ends_at": "2030-01-15T13:00", "reason": ""}
    version = closure_plan.version_of([])
    return Sent(evse, {"code": evse.depot.code}, fields, by_depot=True, version=version)


def of_terms() -> Sent:
    depot = make_depot(terms=TERMS)
    version = terms_version(depot)
    return Sent(depot.terms, {"code": depot.code}, {"hold_min": "20"}, by_depot=True, version=version)


def to_restart() -> Sent:
    evse = evse_online()
    assert evse.charger is not None
    version = in_the_way(evse.charger, now=NOW).version
    arguments = {"code": evse.depot.code, "identity": evse.charger.identity, "verb": "restart"}
    return Sent(evse, arguments, {"how": "soft"}, by_depot=True, version=version)


def to_read_settings() -> Sent:
    evse = evse_online()
    assert evse.charger is not None
    version = settings_version(evse.charger, checked_settings(evse.charger))
    return Sent(
        evse, {"code": evse.depot.code, "identity": evse.charger.identity}, {}, by_depot=True, version=version
    )


def of_template() -> Sent:
    depot = make_depot(terms=TERMS)
    template = SettingsTemplate.objects.create(operator=depot.operator, protocol="1.6")
    fields = {"protocol": "1.6", "settings": "HeartbeatInterval = 120"}
    return Sent(
        depot.terms, {"template_id": template.pk}, fields, by_depot=True, version=version_of(template)
    )


def of_vehicle(is_retired: bool = False, **fields: Any) -> Sent:
    vehicle = confirmed().vehicle
    assert vehicle is not None
    Vehicle.objects.filter(pk=vehicle.pk).update(is_retired=is_retired)
    return Sent(vehicle, {"vehicle_id": vehicle.pk}, fields)


def of_trailer(is_retired: bool = False, **fields: Any) -> Sent:
    vehicle = confirmed().vehicle
    assert vehicle is not None
    trailer = Trailer.objects.create(fleet=vehicle.fleet, plate="HH-T 1", is_retired=is_retired)
    return Sent(trailer, {"trailer_id": trailer.pk}, fields)


def of_token(is_blocked: bool = False, **fields: Any) -> Sent:
    token = Token.objects.get(vehicle=confirmed().vehicle)
    Token.objects.filter(pk=token.pk).update(is_blocked=is_blocked)
    return Sent(token, {"token_id": token.pk}, fields)


def of_tariff(**fields: Any) -> Sent:
    evse = evse_online()
    make_bound(per_kwh("0.40"), depot=evse.depot)
    tariff = Tariff.objects.get()
    return Sent(evse, {"tariff_id": tariff.pk}, fields, by_depot=True, version=version_of_tariff(tariff))


def of_invoice(**fields: Any) -> Sent:
    invoice = billed()
    version = invoice_version(invoice)
    return Sent(invoice, {"invoice_id": invoice.pk}, fields, version=version)


def billed(**terms: Any) -> Invoice:
    """One of November 2029, open and overdue in January."""
    return Invoice.objects.get(supplier=operator_with(**terms))


def to_bill() -> Sent:
    invoice = billed()
    record(invoice.supplier.depots.get(), invoice.customer)
    version = billing_version(invoice.supplier_id)
    return Sent(invoice, {}, {"operator": invoice.supplier_id, "month": "2029-11"}, version=version)


def to_self_bill() -> Sent:
    """Of a fleet that writes what it owes a network."""
    network = invoicing_partner("CPO", switches={"reverse_billing": "at_theirs"}).organisation
    depot, fleet = make_depot(network, is_mirror=True), make_buyer(emsp_party_id="NFE")
    record(depot, fleet, number=None, received={"id": "1"})
    fields = {"customer": fleet.pk, "supplier": network.pk, "month": "2029-11"}
    return Sent(fleet, {}, fields, version=billing_version(network.pk))


def of_bank(version: Callable[[Organisation], int], **terms: Any) -> Sent:
    invoice = billed(**terms)
    owner = invoice.customer if terms else invoice.supplier
    return Sent(owner, {"organisation_id": owner.pk}, {}, version=version(owner))


def of_statement() -> Sent:
    sent = of_bank(account_version)
    told = statement(("A1", "36.30", "INV-2029-000001"))
    sent.fields = {"file": SimpleUploadedFile("s.xml", told)}
    return sent


def of_charger() -> Sent:
    charger = make_charger()
    arguments = {"code": charger.depot.code, "identity": charger.identity}
    return Sent(charger, arguments, {}, by_depot=True, version=password_version(charger))


def of_refused_connection() -> Sent:
    """Of a depot that is the only operator's."""
    evse = make_evse()
    refused = RefusedConnection.objects.create(
        identity="CP-NEW", address="203.0.113.9", reason="unknown", first_at=NOW, last_at=NOW
    )
    fields = {
        "protocol": "ocpp1.6", "evses": "1", "uid": "CP-NEW", "max_power_kw": "400",
        "connector_standard": "IEC_62196_T2_COMBO", "credentials": "give",
    }  # fmt: skip
    arguments = {"code": evse.depot.code, "refused_id": refused.pk}
    return Sent(evse, arguments, fields, by_depot=True, version=refused_connection_version(refused))


def of_expected() -> Sent:
    evse = make_evse()
    row = ExpectedCharger.objects.create(operator=evse.depot.operator, identity="CP-NEW", created_at=NOW)
    arguments = {"code": evse.depot.code, "expected_id": row.pk}
    return Sent(evse, arguments, {}, by_depot=True, version=version_of(row))


def of_trusted_root() -> Sent:
    evse = make_evse()
    root, _ = trust_root(operator=evse.depot.operator, pem=authorities()[0].pem, now=NOW)
    return Sent(evse, {"root_id": root.pk}, {}, by_depot=True, version=version_of(root))


def of_kept_evse() -> Sent:
    booking = confirmed()
    assert booking.evse is not None
    kept = kept_evses.keep(booking, "availability", now=NOW)
    version = version_of([kept.pk, kept.state])
    arguments = {"code": booking.depot.code, "kept_id": kept.pk}
    return Sent(booking, arguments, {}, by_depot=True, version=version)


def of_power_limit() -> Sent:
    evse = make_evse()
    limit = operations.limit_depot(
        depot=evse.depot, watts=1, period=Period(NOW, NOW + timedelta(days=900)), actor=MANAGER, now=NOW
    )
    return Sent(evse, {"code": evse.depot.code}, {}, by_depot=True, version=limits_version([limit]))


RULE = {"kind": "window", "weekdays": ["1"], "from_minute": "08:00", "to_minute": "18:00"}


def of_agreement(**fields: Any) -> Sent:
    agreement = open_depot(make_depot(open_to_all=False), make_fleet())
    version = ending_version(agreement, [])
    return Sent(agreement, {"agreement_id": agreement.pk}, fields, by_depot=True, version=version)


def of_ended_agreement() -> Sent:
    sent = of_agreement()
    sent.of = end_agreement(agreement_id=sent.of.pk, actor=MANAGER, now=NOW).agreement
    sent.version = None
    return sent


def of_rules(*, has_rule: bool = False, **fields: Any) -> Sent:
    sent = of_agreement(**fields)
    if has_rule:
        sent.arguments["rule_id"] = make_rule(sent.of, "window").pk
    sent.version = rules_version(sent.of)
    return sent


def of_depot_rules(*, has_rule: bool = False, **fields: Any) -> Sent:
    evse = make_evse()
    arguments = {"code": evse.depot.code}
    if has_rule:
        arguments["depot_rule_id"] = make_rule(evse.depot, "window").pk
    return Sent(evse, arguments, fields, by_depot=True, version=rules_version(evse.depot))


def of_listing() -> Sent:
    evse = make_evse()
    version = listing_version(evse.depot)
    return Sent(evse, {"code": evse.depot.code}, {"listed": "1"}, by_depot=True, version=version)


def of_proposal(side: str) -> Sent:
    """One that the depot's manager may answer, or has made."""
    depot, guest = make_depot(open_to_all=False), make_fleet()
    propose = ask_for_access if side == "guest" else offer_access
    proposal = propose(depot=depot, guest=guest, actor=MANAGER, now=NOW)
    return Sent(proposal, {"proposal_id": proposal.pk}, {}, by_depot=True)


CHANGING: dict[str, Callable[[], Sent]] = {
    "agreement_end": of_agreement,
    "agreement_reopening": of_ended_agreement,
    "agreement_rules": lambda: of_rules(**RULE),
    "agreement_rule_removal": lambda: of_rules(has_rule=True),
    "depot_rules": lambda: of_depot_rules(**RULE),
    "depot_rule_removal": lambda: of_depot_rules(has_rule=True),
    "depot_listing": of_listing,
    "agreement_acceptance": lambda: of_proposal("guest"),
    "agreement_refusal": lambda: of_proposal("guest"),
    "agreement_withdrawal": lambda: of_proposal("operator"),
    "confirmation": lambda: of_booking(held()),
    "release": lambda: of_booking(held()),
    "change": to_change,
    "arrival": of_arrival,
    "arrival_withdraw": lambda: of_arrival(is_here=True),
    "delay": to_delay,
    "cancellation": lambda: of_booking(confirmed(), reason="TRAFFIC"),
    "seen": changed_by_depot,
    "match_session": of_session_elsewhere,
    "start": lambda: of_booking(armed(confirmed())),
    "stop": lambda: of_booking(at_a_charger()),
    "decision": to_decide,
    "board_move": to_move,
    "board_end": lambda: at_depot(at_a_charger(), ends_at="2030-01-15T12:30"),
    "board_cancellation": lambda: at_depot(confirmed(), reason="BROKEN_CHARGER"),
    "close": to_close,
    "clearing": lambda: of_closure(
        lambda closure: closure_plan.version_of(operations.affected(closure, now=NOW))
    ),
    "lifting": lambda: of_closure(version_of),
    "closure_undo": of_closure_act,
    "offer": to_offer,
    "offer_acceptance": lambda: of_booking(with_offer()),
    "offer_refusal": lambda: of_booking(with_offer()),
    "power_limit_lifting": of_power_limit,
    "terms": of_terms,
    "charger_command": to_restart,
    "charger_settings": to_read_settings,
    "settings_template": of_template,
    "settings_template_removal": of_template,
    "trusted_root_removal": of_trusted_root,
    "kept_release": of_kept_evse,
    "tariff_renewal": lambda: of_tariff(
        name="", currency="EUR", tax_included="no", elements="1", **{"e0-use": "charging", "e0-kwh": "0.5"}
    ),
    "tariff_withdrawal": of_tariff,
    "vehicle": lambda: of_vehicle(plate="HH-NEW 1", vehicle_type="SEMI_TRACTOR", max_power_w="350"),
    "vehicle_retirement": of_vehicle,
    "vehicle_return": lambda: of_vehicle(is_retired=True),
    "trailer": lambda: of_trailer(plate="HH-T 2", adds_length_cm="10.5"),
    "trailer_retirement": of_trailer,
    "trailer_return": lambda: of_trailer(is_retired=True),
    "token": lambda: of_token(uid="04AABBCCDDEE", type="RFID", label="blue"),
    "token_block": of_token,
    "token_release": lambda: of_token(is_blocked=True),
    "invoice_payments": lambda: of_invoice(amount="36.30", paid_on="2029-12-05", key="k1"),
    "invoice_reminders": of_invoice,
    "invoice_credit": lambda: of_invoice(reason="Wrong tariff"),
    "invoice_sending": of_invoice,
    "invoice_run": to_bill,
    "self_billing": to_self_bill,
    "bank_debits": lambda: of_bank(lambda of: order_version(row for row, _ in collectable(of))),
    "bank_transfers": lambda: of_bank(lambda of: order_version(payable(of)), is_reverse=True),
    "bank_statements": of_statement,
    "charger_password": of_charger,
    "charger_new_password": of_charger,
    "commission": of_refused_connection,
    "unexpected": of_expected,
}
# What makes something new shows nothing that could have changed; a button *Undo* is signed with its version in it.
MAKING = {
    "trailer_add",
    "agreement_ask", "agreement_offer", "power_limit",
    "reserve_test", "home", "holds", "bookings", "many_rows", "vehicle_add", "token_add", "tariff_add", "tariff_preview",
    "many_copy", "changed_price", "delay_outlook", "trips", "waitlist", "repeat_preview", "repeat_slot_preview",
    "settings_template_add", "trusted_root_add", "incoming_invoice_add", "incoming_invoice_files",
    "expected", "api_token_add",
}  # fmt: skip
SIGNED = {"undo"}
# Held to their versions where the rest of them is tested: test_records_pages.py, test_payment_terms_page.py,
# test_reconciliation_pages.py, test_balance_pages.py, test_many_page.py, test_booked_trips.py,
# test_waitlist_page.py, test_series_pages.py, and of particulars tests/bookings/billing. Findings that are accepted name their
# facts.
VERSIONED_ELSEWHERE = {
    "dispute", "waiver", "dispute_answer", "agreement_payment_terms", "particulars", "incoming_invoice_change",
    "incoming_invoice_state", "acceptances", "record_booking", "balance_top_ups", "balance_pay_outs",
    "limit_there", "lift_limit_there", "show_limit_there", "unlock_there", "many", "trip_cancellation", "waitlist_acceptance",
    "waitlist_leaving", "repeat", "repeat_slot", "series_change", "series_cancellation",
}  # fmt: skip
# Done once, whoever asks again: what is missing is issued, what rests is reopened, what was not priced again is.
ONCE = {"missing_records", "reopening", "price_checks", "api_token_revocation"}


def sender(sent: Sent) -> Client:
    if isinstance(sent.of, Invoice):
        return client_of(make_user(sent.of.supplier, Membership.Role.ACCOUNTANT))
    if isinstance(sent.of, Organisation):
        return client_of(make_user(sent.of, Membership.Role.ACCOUNTANT))
    if sent.by_depot:
        row = sent.of.evse if isinstance(sent.of, Closure) else sent.of
        return client_of(make_user(row.depot.operator, Membership.Role.DEPOT_MANAGER))
    return client_of(make_user(sent.of.fleet))


def everything() -> dict[str, str]:
    models = (
        AccessRule, Agreement, AgreementProposal, Depot, Booking, BookingEvent, BookingRequest, BookingToken, Closure, ClosureAct,
        ClosureStep, ExternalLimit, Tariff, TariffBinding, TariffVersion, TermsOverride, Token, Trailer, Vehicle, Charger,
        ChargerCommand, SettingsTemplate, ExpectedCharger, RefusedConnection, TrustedRoot, BankOrder, Invoice, Payment, Reminder,
    )  # fmt: skip
    return digests_of(tuple(model._meta.db_table for model in models))


@pytest.fixture(params=sorted(CHANGING))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def send(name: str, sent: Sent, **version: Any) -> int:
    url = reverse(f"bookings:{name}", kwargs=sent.arguments)
    for file in sent.fields.values():
        if isinstance(file, SimpleUploadedFile):
            file.seek(0)
    with time_machine.travel(MOMENTS.get(name, NOW), tick=False):
        return sent.browser.post(url, {**sent.fields, **version}).status_code


# When a form is sent; where it is another time than that at which everything is booked.
MOMENTS = {"start": at(10), "stop": at(10, 10), "board_end": at(10, 10)}


def test_every_address_that_takes_a_form_is_known_here() -> None:
    named = {
        "booking_id": 1,
        "vehicle_id": 1,
        "trailer_id": 1,
        "token_id": 1,
        "api_token_id": 1,
        "closure_id": 1,
        "act_id": 1,
        "tariff_id": 1,
        "organisation_id": 1,
        "agreement_id": 1,
        "proposal_id": 1,
        "rule_id": 1,
        "depot_rule_id": 1,
        "cdr_id": 1,
        "dispute_id": 1,
        "invoice_id": 1,
        "incoming_id": 1,
        "accepted_id": 1,
        "order_id": 1,
        "operator_id": 1,
        "customer_id": 1,
        "currency": "EUR",
        "code": "X",
        "identity": "X",
        "verb": "restart",
        "template_id": 1,
        "root_id": 1,
        "command_id": 1,
        "refused_id": 1,
        "expected_id": 1,
        "uid": "X",
        "kept_id": 1,
        "trip_id": 1,
        "entry_id": 1,
        "series_id": 1,
    }
    somebody = client_of(make_user(make_fleet()))

    def takes_forms(pattern: URLPattern) -> bool:
        kwargs = {key: named[key] for key in pattern.pattern.converters}
        return somebody.post(reverse(f"bookings:{pattern.name}", kwargs=kwargs)).status_code != 405

    assert {str(p.name) for p in urlpatterns if takes_forms(p)} == (
        set(CHANGING) | MAKING | SIGNED | VERSIONED_ELSEWHERE | ONCE
    )


def test_a_form_is_refused_without_its_version_though_all_else_is_right_and_carried_out_with_it(
    name: str,
) -> None:
    sent = CHANGING[name]()
    before = everything()

    statuses = {
        send(name, sent, **version) for version in ({}, {"version": ""}, {"version": "x"}, {"version": "0"})
    }
    assert statuses == {409}
    assert everything() == before

    version = {"version": sent.version} if sent.version else seen(sent.of)
    assert send(name, sent, **version) in {200, 204, 302}
    assert everything() != before


MONEY = sorted(
    name for name in CHANGING if name.startswith(("invoice_", "bank_")) and name != "bank_statements"
)


@pytest.mark.parametrize("name", MONEY)
def test_a_form_of_money_that_is_sent_twice_is_carried_out_once(name: str, mailoutbox: list[Any]) -> None:
    """By a double click, or by the second of two who look at the same page."""
    sent = CHANGING[name]()

    statuses = [send(name, sent, version=sent.version)]
    before, mails = everything(), len(mailoutbox)
    sent.fields |= {"key": "k2"} if "key" in sent.fields else {}
    statuses.append(send(name, sent, version=sent.version))

    assert statuses == [302, 409]
    assert everything() == before
    assert len(mailoutbox) == mails


def test_a_form_that_is_wrong_in_itself_says_what_is_wrong_whatever_it_showed() -> None:
    sent = to_move()
    sent.fields["starts_at"] = "soon"

    assert send("board_move", sent) == 422
