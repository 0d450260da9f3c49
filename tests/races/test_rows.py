"""The rules that a table keeps by itself: of two equal rows written at once one stays, and what makes no sense is refused.

Taken away, each lets both rows, or the nonsense, in. What is decided by more than one table is in test_guards.py.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.db.models import CheckConstraint, Model, UniqueConstraint
from psycopg.types.range import TimestamptzRange

from bookings.models import (
    AccessRule,
    AgreementProposal,
    Booking,
    BookingOption,
    BookingSession,
    BookingToken,
    CalendarMark,
    ChargingProfile,
    Closure,
    ClosureAct,
    ClosureStep,
    ExternalLimit,
    KeptAnswer,
    KeptEvse,
    Occupancy,
    OwnerAnswer,
    PartnerCommand,
    ReserveTest,
    TermsOverride,
    Token,
    Trailer,
    Vehicle,
    VehicleState,
)
from depots.models import (
    Agreement,
    ApiToken,
    ApiUse,
    Charger,
    ChargerCertificate,
    ChargingSession,
    Connector,
    Depot,
    Evse,
    ExpectedCharger,
    LocalList,
    Membership,
    MeterReading,
    Notice,
    OpeningHours,
    Organisation,
    RefusedConnection,
    SecurityEvent,
    SessionEvent,
    SettingsTemplate,
    SignedMeterValue,
    TrustedRoot,
    User,
)
from roaming.models import (
    Delivery,
    Deviation,
    GuestSession,
    HubClient,
    NamedTariffs,
    Partner,
    PartnerObject,
    PartnerPull,
    PartnerToken,
    PartnerTraffic,
    ShownState,
)
from tests.factories import (
    NOW,
    make_charger,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_user,
    make_vehicle,
    open_depot,
    option_of,
    slot,
)
from tests.money_factories import make_invoice, new_booking_payment, new_cdr, new_prepaid_entry
from tests.races import money_rows, series_rows, telling_rows, trip_rows
from tests.races.money_rows import money
from tests.races.processes import at_once
from tests.races.removed_guards import Constraint
from tests.races.series_rows import series
from tests.races.telling_rows import telling
from tests.races.trip_rows import waiting
from tests.roaming.partners import make_partner

# A row for each of two processes; equal in what may be there once, in capitals here and not there.
Build = Callable[[int], Model]


# Shown with what happens around them in test_guards.py.
ELSEWHERE = {"booking_request_id_once", "one_pending_request"}
COLUMNS = [
    "bookings_booking.session_id", "bookings_bookingsession.session_id", "bookings_chargedetailrecord.credits_id",
    "bookings_chargedetailrecord.replaces_id", "bookings_paymentreturn.payment_id",
    "bookings_paymentterms.agreement_id", "bookings_termsoverride.option_id", "bookings_waitlistentry.held_id",
    "roaming_guestsession.code", "roaming_guestsession.reservation_id", "roaming_guestsession.session_id",
    "roaming_partner.organisation_id", "roaming_partnertoken.token_hash", "depots_meterreading_pkey",
]  # fmt: skip


def constraints(kind: type) -> dict[str, type[Model]]:
    """Those of our models by name."""
    ours = [
        model for app in ("depots", "bookings", "roaming") for model in apps.get_app_config(app).get_models()
    ]
    return {c.name: model for model in ours for c in model._meta.constraints if isinstance(c, kind)}


@pytest.mark.races
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", sorted(constraints(UniqueConstraint).keys() - ELSEWHERE) + COLUMNS)
def test_of_two_equal_rows_written_at_once_one_stays(name: str) -> None:
    build = {
        **sites(),
        **charging(),
        **offers(),
        **promises(),
        **money(),
        **telling(),
        **series(),
        **waiting(),
    }[name]
    rows = [build(number) for number in range(2)]
    model = type(rows[0])
    before = set(model._base_manager.values_list("pk", flat=True))
    guard = _in_database(rows[0], name)

    def write(number: int) -> str:
        try:
            rows[number].save(force_insert=True)
        except IntegrityError as violation:
            return violated_constraint(violation)
        return "written"

    guarded = sorted(at_once(write, 2))
    _forget(model, before)
    with guard.dropped():
        unguarded = at_once(write, 2)

    assert guarded == sorted(["written", guard.name])
    assert unguarded == ["written", "written"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(constraints(CheckConstraint)))
def test_a_row_that_makes_no_sense_is_refused(name: str) -> None:
    row = (
        NONSENSE | money_rows.NONSENSE | telling_rows.NONSENSE | series_rows.NONSENSE | trip_rows.NONSENSE
    )[name]()

    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        row.save(force_insert=True)
    with connection.cursor() as cursor:
        # Rows that wait to be checked at the end of the transaction would keep the table from being changed.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f'ALTER TABLE {row._meta.db_table} DROP CONSTRAINT "{name}"')
    row.save(force_insert=True)

    assert violated_constraint(refusal.value) == name
    assert row.pk


def case(text: str, number: int) -> str:
    return text.upper() if number else text.lower()


def sites() -> dict[str, Build]:
    operator, depot, user = make_operator(), make_depot(), make_user(make_fleet())
    charger, evse = make_charger(depot), make_evse()
    other = make_depot()
    return {
        "api_token_once": lambda _: ApiToken(organisation=operator, token_hash="same", created_at=NOW),
        "api_use_once": lambda _: ApiUse(organisation=operator, minute=NOW),
        "answer_kept_once": lambda _: KeptAnswer(
            organisation=operator, key="K-1", fingerprint="f", status=201, created_at=NOW
        ),
        "user_email_once": lambda n: User(email=f"{case('somebody', n)}@fleet.example"),
        "organisation_name_once": lambda n: Organisation(name=case("Ladepark Nord", n)),
        "cpo_party_once": lambda n: Organisation(
            name=f"O{n}", country_code="NL", cpo_party_id=case("lpk", n)
        ),
        "emsp_party_once": lambda n: Organisation(
            name=f"O{n}", country_code="DE", emsp_party_id=case("nfe", n)
        ),
        "membership_role_once": lambda _: Membership(user=user, organisation=operator, role="viewer"),
        "depot_code_once": lambda n: Depot(operator=operator, code=case("x-1", n), location_id=f"L{n}"),
        "depot_location_once": lambda n: Depot(operator=operator, code=f"C{n}", location_id=case("x-1", n)),
        "proposal_waits_once": lambda _: AgreementProposal(
            depot=other, guest=operator, made_by_side="guest", made_at=NOW, made_by_kind="manager"
        ),
        "agreement_once": lambda _: Agreement(depot=other, guest=operator, starts_at=NOW),
        "charger_identity_once": lambda n: Charger(depot=depot, identity=case("cp-x", n)),
        "refused_identity_once": lambda n: RefusedConnection(
            identity=case("cp-x", n), first_at=NOW, last_at=NOW
        ),
        "expected_once": lambda n: ExpectedCharger(
            operator=operator, identity=case("cp-x", n), created_at=NOW
        ),
        "certificate_once": lambda _: ChargerCertificate(
            charger=charger, issuer="ab", serial_number="CD", not_before=NOW, not_after=NOW
        ),
        "security_event_kind_once": lambda _: SecurityEvent(
            charger=charger, kind="TamperDetection", at=NOW, received_at=NOW
        ),
        "trusted_root_once": lambda n: TrustedRoot(
            operator=operator, fingerprint="ab", name=f"R{n}", pem="", not_after=NOW, added_at=NOW
        ),
        "evse_uid_once_in_depot": lambda n: Evse(depot=depot, uid=case("e-x", n), number=n, max_power_w=1),
        "own_evse_uid_once": lambda n: Evse(
            depot=(depot, other)[n], charger=charger, uid=case("e-x", n), number=n, max_power_w=1
        ),
        "settings_template_once": lambda n: SettingsTemplate(
            operator=depot.operator, protocol="1.6", settings={"n": str(n)}
        ),
        "evse_number_once": lambda n: Evse(
            depot=depot, charger=charger, uid=f"E{n}", number=7, max_power_w=1
        ),
        "connector_number_once": lambda _: Connector(evse=evse, number=7),
    }


def charging() -> dict[str, Build]:
    charger = make_charger()
    times = {"charger": charger, "started_at": NOW, "start_received_at": NOW}
    session = ChargingSession.objects.create(**times, transaction="T-0")
    return {
        "transaction_once": lambda _: ChargingSession(**times, transaction="T-1"),
        "start_once": lambda n: ChargingSession(**times, start_key="1|04AA|10:00", transaction=f"T-2{n}"),
        "session_event_once": lambda _: SessionEvent(session=session, seq_no=3, kind="updated", at=NOW),
        "depots_meterreading_pkey": lambda _: MeterReading(session=session, at=NOW),
        "signed_value_once": lambda _: SignedMeterValue(session=session, at=NOW, sample={}, digest="d"),
    }


def offers() -> dict[str, Build]:
    fleet, depot, evse = make_fleet(), make_depot(), make_evse()
    here, there = make_depot(), make_depot()
    return {
        "power_profile_once": lambda _: ChargingProfile(evse=evse, purpose="tx"),
        "vehicle_plate_once": lambda n: Vehicle(fleet=fleet, plate=case("hh-nf 1", n)),
        "trailer_plate_once": lambda n: Trailer(fleet=fleet, plate=case("hh-t 1", n)),
        "token_once": lambda n: Token(fleet=fleet, uid=case("04aabb", n)),
        "network_token_once": lambda n: Token(
            fleet=fleet, uid=case("04aabb", n), country_code=case("se", n), party_id="FLT", told={}
        ),
        "owner_answer_once": lambda _: OwnerAnswer(
            charger=evse.charger, number="04AABB", outcome="allowed", answered_at=NOW
        ),
        "option_code_once_in_depot": lambda n: BookingOption(
            depot=depot, code=case("o-1", n), is_mirror=True
        ),
        "own_option_code_once": lambda n: BookingOption(depot=(here, there)[n], code=case("o-2", n)),
        "bookings_termsoverride.option_id": lambda _: TermsOverride(option=option_of(evse)),
    }


def promises() -> dict[str, Build]:
    evse, other = make_evse(), make_evse()
    partner, truck = make_partner(), make_vehicle()
    partner.tokens.all().delete()
    times = {"charger": evse.charger, "started_at": NOW, "start_received_at": NOW}
    session = ChargingSession.objects.create(**times, transaction="T-9")
    booking, act = _booking(evse, request_id="first"), _closure_act(depot=evse.depot)
    act.save()
    booking.save()
    beside = _booking(evse, request_id="R9")
    beside.save()
    places, day = (evse, other), slot(10, 11)
    invoice = make_invoice(evse.depot.operator, truck.fleet)
    new_prepaid_entry(evse.depot.operator, truck.fleet).save()
    return {
        "booking_reference_once": lambda n: _booking(evse, reference=case("bkabc", n), request_id=f"R{n}"),
        "booking_group_once": lambda n: _booking(evse, group="GSAME", request_id=f"G{n}"),
        "bookings_bookingsession.session_id": lambda n: BookingSession(booking=booking, session=session),
        "bookings_booking.session_id": lambda n: _booking(evse, session=session, request_id=f"S{n}"),
        "partner_command_waiting_once": lambda n: PartnerCommand(
            booking=booking, kind="remote_start", key=str(n), asked_by_kind="dispatcher", asked_at=NOW, answer_by=NOW
        ),
        "bookings_partnercommand.key": lambda n: PartnerCommand(
            booking=booking, kind=("remote_start", "remote_stop")[n], key="1", asked_by_kind="dispatcher",
            asked_at=NOW, answer_by=NOW,
        ),
        "booking_token_once": lambda n: BookingToken(booking=booking, uid=case("04aabb", n)),
        "occupancy_booking_row_once": lambda n: Occupancy(
            evse=places[n], span=day, holder=booking.pk, kind="booking"
        ),
        "occupancy_pending_row_once": lambda n: Occupancy(
            evse=places[n], span=day, holder=booking.pk, kind="pending"
        ),
        "pull_once": lambda _: PartnerPull(partner=partner, module="location"),
        "named_tariffs_once": lambda _: NamedTariffs(partner=partner, kind="evse", object_id=1, codes=["T-1"]),
        "shown_state_once": lambda _: ShownState(kind="evse", object_id=1, state="free"),
        "deviation_once": lambda _: Deviation(partner=partner, rule="id.too_long", first_at=NOW, last_at=NOW),
        "traffic_once": lambda _: PartnerTraffic(
            partner=partner, starts_at=NOW, is_incoming=True, calls=1, refused=0, failed=0, took_ms=1, slowest_ms=1
        ),
        "hub_client_once": lambda n: HubClient(
            partner=partner, country_code="SE", party_id=case("abc", n), role="EMSP", status="OFFLINE", last_updated=NOW
        ),
        "roaming_guestsession.session_id": lambda n: GuestSession(
            code=f"S{n}", session=session, partner=partner, changed_at=NOW
        ),
        "roaming_guestsession.reservation_id": lambda n: GuestSession(
            code=f"R{n}", reservation=booking, partner=partner, changed_at=NOW
        ),
        "roaming_guestsession.code": lambda n: GuestSession(
            code="R7", reservation=(booking, beside)[n], partner=partner, changed_at=NOW
        ),
        "delivery_once": lambda _: Delivery(
            partner=partner, kind="booking", object_id=booking.pk, wanted_version=1
        ),
        "partner_object_once": lambda n: PartnerObject(
            partner=partner, kind="booking", country_code="SE", party_id="ABC", key=case("b-1", n), raw={}, received_at=NOW
        ),
        "one_current_token": lambda n: PartnerToken(
            partner=partner, kind="current", token_hash=f"{n}", token_encrypted=""
        ),
        "roaming_partnertoken.token_hash": lambda n: PartnerToken(
            partner=partner, kind=("previous", "pending")[n], token_hash="same", token_encrypted=""
        ),
        "cdr_of_session_once": lambda n: new_cdr(depot=evse.depot, kind="session", session=session, code=f"S{n}"),
        "cdr_of_booking_once": lambda n: new_cdr(depot=evse.depot, booking=booking, code=f"B{n}"),
        "prepaid_settles_once": lambda _: new_prepaid_entry(
            evse.depot.operator, truck.fleet, booking=booking, invoice=invoice, kind="settled", amount=Decimal(-1)
        ),
        "booking_payment_key_once": lambda n: new_booking_payment((booking, beside)[n], key=UUID(int=7)),
        "roaming_partner.organisation_id": lambda _: Partner(organisation=truck.fleet),
        "reserve_test_once": lambda n: ReserveTest(
            evse=evse, charger=evse.charger, number=1, asked_at=NOW, asked_by_kind="manager"
        ),
        "evse_kept_once": lambda n: _kept(evse, (booking, beside)[n]),
        "closure_step_once": lambda _: ClosureStep(
            act=act, booking=booking, outcome="stays", evse_before=evse, version=1
        ),
    }  # fmt: skip


def _booking(evse: Evse, **fields: Any) -> Booking:
    fleet = evse.depot.operator
    made: dict[str, Any] = {
        "fleet": fleet, "depot": evse.depot, "option": option_of(evse), "evse": evse, "period": slot(10, 11),
        "terms_json": {}, "status": "confirmed", "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    return Booking(**{**made, **fields})


def _kept(evse: Evse, booking: Booking | None = None, **fields: Any) -> KeptEvse:
    if booking is None:
        booking = _booking(evse)
        booking.save()
    told = {"charger": evse.charger, "number": 1, "way": "availability", "asked_at": NOW, **fields}
    return KeptEvse(booking=booking, evse=evse, **told)


NONSENSE: dict[str, Callable[[], Model]] = {
    "guest_session_of_something": lambda: GuestSession(code="1", partner=make_partner(), changed_at=NOW),
    "membership_role_known": lambda: Membership(
        user=make_user(make_fleet()), organisation=make_fleet(), role="king"
    ),
    "depot_fallbacks_known": lambda: Depot(
        operator=make_operator(), code="X", location_id="X", fallbacks=["tow"]
    ),
    "depot_grid_limit_positive": lambda: Depot(
        operator=make_operator(), code="X", location_id="X", grid_limit_w=0
    ),
    "opening_hours_sensible": lambda: OpeningHours(
        depot=make_depot(), weekday=1, from_minute=600, to_minute=600
    ),
    "agreement_ends_after_start": lambda: Agreement(
        depot=make_depot(), guest=make_fleet(), starts_at=NOW, ends_at=NOW
    ),
    "security_profile_known": lambda: Charger(
        depot=make_depot(), identity="X", protocol="ocpp2.1", security_profile=0
    ),
    "cabinet_limit_positive": lambda: Charger(depot=make_depot(), identity="X", cabinet_limit_w=0),
    "evse_power_positive": lambda: Evse(depot=make_depot(), uid="X", max_power_w=0),
    "evse_kept_over_when_over": lambda: _kept(make_evse(), state="over"),
    "evse_kept_never_a_whole_charger": lambda: _kept(make_evse(), number=0),
    "local_list_synced_when_known": lambda: LocalList(charger=make_charger(), synced_at=NOW),
    "token_uid_given": lambda: Token(fleet=make_fleet(), uid=""),
    "terms_of_one_owner": lambda: TermsOverride(depot=_bare_depot(), option=option_of(make_evse())),
    "calendar_mark_of_one_place": CalendarMark,
    "notice_can_be_notified": lambda: Notice(channel="berth_live", payload="x" * 8000),
    "terms_step_positive": lambda: TermsOverride(depot=_bare_depot(), slot_step_min=0),
    "terms_power_order_known": lambda: TermsOverride(depot=_bare_depot(), power_order="alphabet"),
    "terms_overstay_known": lambda: TermsOverride(depot=_bare_depot(), overstay="tow"),
    "access_rule_hours_sensible": lambda: AccessRule(depot=make_depot(), kind="window", weekdays=[8]),
    "proposal_ends_after_it_was_made": lambda: _proposal(ends_at=NOW),
    "proposal_answered_when_over": lambda: _proposal(state="declined"),
    "access_rule_whole": lambda: AccessRule(depot=make_depot(), kind="quota", unit="evses", counts="each"),
    "access_rule_of_its_owner": lambda: AccessRule(
        depot=make_depot(),
        kind="walk_in",
        unit="evses",
        amount=1,
        agreement=open_depot(make_depot(open_to_all=False)),
    ),
    "terms_walk_in_known": lambda: TermsOverride(depot=_bare_depot(), walk_in="maybe"),
    "booking_ends_after_start": lambda: _backwards(_booking(make_evse())),
    "booking_status_known": lambda: _booking(make_evse(), status="maybe"),
    "booking_here_has_evse": lambda: _without_evse(_booking(make_evse())),
    "vehicle_state_on_earth": lambda: VehicleState(vehicle=make_vehicle(), latitude=91, told_at=NOW),
    "booking_energy_sensible": lambda: _booking(make_evse(), soc_to=101),
    "booking_id_fits_charger": lambda: _booking(make_evse(), id=2**31),
    "occupancy_not_empty": lambda: Occupancy(
        evse=make_evse(), span=TimestamptzRange(empty=True), holder=1, kind="booking"
    ),
    "external_limit_ends_after_start": lambda: _limit(starts_at=NOW, ends_at=NOW),
    "external_limit_not_negative": lambda: _limit(watts=-1),
    "closure_ends_after_start": lambda: Closure(evse=make_evse(), starts_at=NOW, ends_at=NOW, created_at=NOW),
    "closure_act_ends_after_start": lambda: _closure_act(ends_at=NOW),
    "closure_act_undone_by_somebody": lambda: _closure_act(undone_at=NOW),
    "closure_step_moved_somewhere": lambda: _closure_step("moved"),
    "closure_step_offered_something": lambda: _closure_step("offered", is_somewhere=True),
}


def _closure_act(**fields: Any) -> ClosureAct:
    whole = {"starts_at": NOW, "ends_at": NOW + timedelta(hours=1), "made_at": NOW, "made_by_kind": "manager"}
    return ClosureAct(**{"depot": fields.get("depot") or make_depot(), **whole, **fields})


def _closure_step(outcome: str, *, is_somewhere: bool = False) -> ClosureStep:
    evse = make_evse()
    act, booking = _closure_act(depot=evse.depot), _booking(evse)
    act.save()
    booking.save()
    after = evse if is_somewhere else None
    return ClosureStep(
        act=act, booking=booking, outcome=outcome, evse_before=evse, evse_after=after, version=1
    )


def _limit(**fields: Any) -> ExternalLimit:
    whole = {"watts": 1, "starts_at": NOW, "ends_at": NOW + timedelta(hours=1), "created_at": NOW}
    return ExternalLimit(depot=_bare_depot(), set_by_kind="command", **{**whole, **fields})


def _backwards(booking: Booking) -> Booking:
    booking.ends_at = booking.starts_at
    return booking


def _without_evse(booking: Booking) -> Booking:
    booking.evse = None
    return booking


def _bare_depot() -> Depot:
    depot = make_depot()
    TermsOverride.objects.filter(depot=depot).delete()
    return depot


def _forget(model: type[Model], kept: set[Any]) -> None:
    """Delete all other rows, those too that are never deleted."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {model._meta.db_table} DISABLE TRIGGER USER")
        model._base_manager.exclude(pk__in=list(kept)).delete()
        cursor.execute(f"ALTER TABLE {model._meta.db_table} ENABLE TRIGGER USER")


def _in_database(row: Model, name: str) -> Constraint:
    """The constraint of this name, or the nameless one of a column that is unique by itself."""
    table, _, column = name.partition(".")
    if not column:
        return Constraint(row._meta.db_table, name)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.conname FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum] "
            "WHERE c.contype = 'u' AND c.conrelid = %s::regclass AND a.attname = %s",
            [table, column],
        )
        (found,) = cursor.fetchone()
    return Constraint(table, found)


def violated_constraint(violation: IntegrityError) -> str:
    return violation.__cause__.diag.constraint_name or ""  # type: ignore[union-attr]


def _proposal(**fields: Any) -> AgreementProposal:
    return AgreementProposal(
        depot=make_depot(),
        guest=make_fleet(),
        made_by_side="guest",
        made_at=NOW,
        made_by_kind="manager",
        **fields,
    )
