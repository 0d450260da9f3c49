from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings

from bookings.models import Booking, Closure
from depots.models import Agreement, Evse, Membership, Organisation, User
from tests.config.commands import refusal, run
from tests.factories import (
    DISPATCHER,
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_option,
    make_organisation,
    make_vehicle,
    option_of,
    slot,
)
from tests.scenarios.outside.commands import Commands

pytestmark = pytest.mark.django_db

SLOT = ("--vehicle", "HH-NF 100", "--option", "CP-1-1")


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def evse() -> Evse:
    return make_evse(make_depot(code="NF-HAM"), uid="CP-1-1")


@pytest.fixture
def truck() -> Any:
    return make_vehicle(make_fleet("Nordfracht", country_code="DE", emsp_party_id="NFE"), plate="HH-NF 100")


def book(*more: str, start: str = "2030-01-15T11:00", end: str = "2030-01-15T12:00") -> dict[str, Any]:
    [printed] = run("book", *SLOT, "--start", start, "--end", end, *more)
    return printed


def booking_refused(start: str = "2030-01-15T11:00", end: str = "2030-01-15T12:00") -> str:
    return refusal("book", *SLOT, "--start", start, "--end", end)


# Organisations, people, agreements


def test_an_organisation_is_a_fleet_an_operator_or_both():
    [printed] = run("add_organisation", "--name", "Ladepark", "--country-code", "nl", "--cpo-party-id", "lpk")

    made = Organisation.objects.get(name="Ladepark")
    assert printed == {
        "organisation": "Ladepark", "id": made.pk, "country_code": "NL", "cpo_party": "NL*LPK", "emsp_party": ""
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", " "], "1 to 100"),
        (["--name", "X" * 101], "1 to 100"),
        (["--name", "All"], "No organisation can be called"),
        (["--name", "ladepark", "--cpo-party-id", "LP"], "three letters"),
        (["--name", "New\nline"], "--name"),
        (["--name", "New\udcff"], "--name"),
        (["--name", "New", "--country-code", "NLD"], "two letters"),
        (["--name", "New", "--country-code", "NL", "--cpo-party-id", "LP"], "three letters"),
        (["--name", "New", "--cpo-party-id", "XYZ"], "needs a country code"),
        (["--name", "New", "--country-code", "nl", "--cpo-party-id", "lpk"], "party of Ladepark"),
    ],
    ids=range(10),
)
def test_an_organisation_that_cannot_be_is_refused(arguments, words):
    make_operator("Ladepark", country_code="NL", cpo_party_id="LPK")

    assert words in refusal("add_organisation", *arguments)
    assert Organisation.objects.count() == 1


def test_a_user_gets_a_link_that_sets_the_password_once(client):
    make_fleet("Nordfracht")

    [printed] = run(
        "add_user",
        "--email",
        "New@Nordfracht.example",
        "--organisation",
        "nordfracht",
        "--role",
        "dispatcher",
    )

    assert printed["url"].startswith(settings.BERTH_BASE_URL + "/")
    path = printed["url"].removeprefix(settings.BERTH_BASE_URL)
    chosen = {"new_password1": "a-long-enough-word", "new_password2": "a-long-enough-word"}
    assert client.get(path).status_code == 200
    client.post(path, chosen)
    assert User.objects.get().check_password("a-long-enough-word")
    assert Membership.objects.get().role == "dispatcher"
    client.post(path, {**chosen, "new_password1": "another-long-word", "new_password2": "another-long-word"})
    assert User.objects.get().check_password("a-long-enough-word")


def test_a_person_can_have_several_roles_but_none_twice():
    make_fleet("Nordfracht")
    arguments = ["--email", "a@nordfracht.example", "--organisation", "Nordfracht", "--role"]
    run("add_user", *arguments, "dispatcher")

    [printed] = run("add_user", *arguments, "depot_manager")

    assert printed["created"] is False
    assert User.objects.get().memberships.count() == 2
    assert "already" in refusal("add_user", *arguments, "dispatcher")


def test_a_user_needs_an_address_and_an_organisation_of_ours():
    make_organisation("Partner", is_partner=True)

    role = ["--role", "viewer"]
    assert "not an e-mail" in refusal("add_user", "--email", "nobody", "--organisation", "Partner", *role)
    assert "no users here" in refusal(
        "add_user", "--email", "a@b.example", "--organisation", "Partner", *role
    )
    assert "no organisation" in refusal("add_user", "--email", "a@b.example", "--organisation", "X", *role)
    assert not User.objects.exists()


def test_a_depot_is_opened_to_one_or_to_all():
    depot = make_depot(code="NF-HAM", open_to_all=False)
    make_fleet("Alpentrans", country_code="AT", emsp_party_id="ALP")

    [one] = run("open_depot", "nf-ham", "--to", "AT*ALP")
    [everybody] = run("open_depot", "NF-HAM", "--to", "all")

    assert (one["open_to"], one["created"]) == ("Alpentrans", True)
    assert everybody["open_to"] == "all"
    assert depot.agreements.count() == 2
    assert run("open_depot", "NF-HAM", "--to", "alpentrans")[0]["created"] is False


def test_an_agreement_that_has_ended_is_taken_up_again():
    depot = make_depot(code="NF-HAM", open_to_all=False)
    ended = Agreement.objects.create(
        depot=depot, guest=None, starts_at=NOW - timedelta(days=9), ends_at=NOW - timedelta(days=1)
    )

    run("open_depot", "NF-HAM", "--to", "all")

    ended.refresh_from_db()
    assert (ended.starts_at, ended.ends_at) == (NOW, None)


def test_a_depot_that_is_not_ours_to_open_is_refused():
    make_depot(code="SIM", is_mirror=True)

    assert "no depot NOPE" in refusal("open_depot", "NOPE", "--to", "all")
    assert "partner" in refusal("open_depot", "SIM", "--to", "all")
    make_depot(code="NF-HAM")
    assert "no organisation Nobody" in refusal("open_depot", "NF-HAM", "--to", "Nobody")


def test_a_party_of_two_organisations_has_to_be_named():
    make_operator("One", country_code="DE", cpo_party_id="ABC")
    make_fleet("Two", country_code="DE", emsp_party_id="ABC")
    make_depot(code="NF-HAM")

    assert "One and Two" in refusal("open_depot", "NF-HAM", "--to", "DE*ABC")


# Bookings


def test_a_booking_is_printed_with_all_that_is_promised(evse, truck):
    printed = book()

    booking = Booking.objects.get()
    assert printed["id"] == printed["reservation_id"] == booking.pk
    assert (printed["status"], printed["enforcement"], printed["evse_uid"]) == (
        "confirmed",
        "not_due",
        "CP-1-1",
    )
    assert printed["ocpi_id"] == booking.reference
    assert printed["request_id"] == booking.request_id
    # Without an offset the time is the depot's own: Kassel is an hour before UTC in winter.
    assert printed["period"] == {"start": "2030-01-15T10:00:00Z", "end": "2030-01-15T11:00:00Z"}
    assert set(printed["occupied"]) == {"start", "end"}
    assert printed["tokens"][0]["uid"] == truck.tokens.get().uid
    assert printed["events"][0]["after"] == "confirmed"
    assert printed["deliveries"] == []


def test_a_time_with_an_offset_is_taken_as_it_is(evse, truck):
    assert book(start="2030-01-15T10:00Z", end="2030-01-15T12:00+01:00")["period"] == {
        "start": "2030-01-15T10:00:00Z", "end": "2030-01-15T11:00:00Z"
    }  # fmt: skip


def test_the_power_and_the_evse_can_be_chosen(truck):
    evse = make_evse(make_depot(), uid="CP-1-1", option=False)
    other = make_evse(charger=evse.charger, uid="CP-1-2", option=False)
    make_option(evse, other, code="CP-1-1")

    printed = book("--evse", "cp-1-2", "--power-kw", "122.5")

    assert (printed["evse_uid"], printed["promised_power_kw"]) == ("CP-1-2", 122.5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--start", "soon"], "--start: soon is not a time"),
        (["--start", "2030-01-15"], "--start"),
        (["--start", "2030-02-30T10:00"], "--start"),
        (["--start", "9999-12-31T23:00"], "--start"),
        (["--start", "0001-01-01T00:00Z"], "--start"),
        (["--start", "2030-03-31T02:30"], "does not exist on 31 March in Europe/Berlin"),
        (["--start", "2030-10-27T02:30"], "comes twice on 27 October in Europe/Berlin"),
        (["--end", "2030-01-15T11:00"], "--end"),
        (["--end", "2030-01-15T10:00"], "--end"),
        (["--start", "2030-01-14T11:00"], "past"),
        (["--start", "2030-01-15T11:07"], "every 15 minutes"),
        (["--vehicle", "HH-XX 1"], "--vehicle"),
        (["--option", "NOPE"], "NOPE"),
        (["--evse", "NOPE"], "--evse"),
        (["--power-kw", "much"], "--power-kw"),
        (["--power-kw", "nan"], "--power-kw"),
        (["--power-kw", "-4"], "--power-kw"),
        (["--power-kw", "4000"], "400 kW at most"),
        (["--organisation", "Nobody"], "Nobody"),
    ],
    ids=range(19),
)
def test_a_booking_that_cannot_be_is_refused_in_a_sentence(evse, truck, arguments, words):
    given = {
        "--vehicle": "HH-NF 100",
        "--option": "CP-1-1",
        "--start": "2030-01-15T11:00",
        "--end": "2030-01-15T12:00",
    }
    given |= dict([arguments])

    assert words in refusal("book", *[f"{name}={value}" for name, value in given.items()])
    assert not Booking.objects.exists()


def test_a_taken_slot_says_what_would_do(evse, truck):
    book()

    sentence = booking_refused()

    nearest = re.search(r"--start (\S+) --end (\S+)\.$", sentence)
    assert nearest
    assert book(start=nearest[1], end=nearest[2])["status"] == "confirmed"


def test_a_plate_of_two_fleets_has_to_be_told_apart(evse, truck):
    make_vehicle(make_fleet("Alpentrans"), plate="hh-nf 100")

    arguments = [
        "--vehicle",
        "HH-NF 100",
        "--option",
        "CP-1-1",
        "--start",
        "2030-01-15T11:00",
        "--end",
        "2030-01-15T12:00",
    ]
    assert "Alpentrans and Nordfracht" in refusal("book", *arguments)
    assert run("book", *arguments, "--organisation", "Alpentrans")[0]["fleet"] == "Alpentrans"


def test_a_partners_depot_is_asked(truck):
    partner = make_operator("Partner", is_partner=True)
    mirrored = make_evse(make_depot(partner, code="SIM-1", is_mirror=True), uid="CP-1-1", option=False)
    make_option(mirrored, code="CP-1-1", is_mirror=True)

    printed = book()

    assert (printed["route"], printed["status"], printed["ocpi_id"]) == ("outbound", "requested", None)


def test_a_booking_is_changed_by_any_of_its_ids(evse, truck):
    first = book()

    [later] = run("change_booking", first["id"], "--start", "2030-01-15T11:30")
    [longer] = run("change_booking", first["reference"].lower(), "--end", "2030-01-15T12:30")

    assert later["period"] == {"start": "2030-01-15T10:30:00Z", "end": "2030-01-15T11:00:00Z"}
    assert longer["period"] == {"start": "2030-01-15T10:30:00Z", "end": "2030-01-15T11:30:00Z"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "at least one of"),
        (["--start", "2030-01-15T12:00"], "--start"),
        (["--end", "2030-01-15T11:00"], "--end"),
        (["--end", "later"], "--end"),
        (["--evse", "NOPE"], "--evse"),
    ],
    ids=range(5),
)
def test_a_change_that_cannot_be_is_refused(evse, truck, arguments, words):
    printed = book()

    assert words in refusal("change_booking", printed["id"], *arguments)
    assert run("show_booking", printed["id"]) == [printed]


def test_a_command_that_says_what_it_saw_is_refused_when_the_same_was_changed_since(evse, truck):
    seen = book()
    run("change_booking", seen["id"], "--start", "2030-01-15T12:00", "--end", "2030-01-15T13:00")
    stale = ("--version", seen["version"])

    later = refusal("change_booking", seen["id"], "--end", "2030-01-15T13:30", *stale)
    gone = refusal("cancel_booking", seen["id"], "--reason", "TRAFFIC", *stale)

    assert later == gone
    assert "Time Tue 15 Jan 12:00–13:00 instead of Tue 15 Jan 11:00–12:00" in later
    [now] = run("change_booking", seen["id"], "--end", "2030-01-15T13:30", "--version", seen["version"] + 1)
    assert now["period"]["end"] == "2030-01-15T12:30:00Z"


def test_an_answer_that_says_what_it_saw_is_refused_for_another_ask(truck):
    make_evse(make_depot(terms={"approval": True}), uid="CP-9-1")
    printed = book("--option", "CP-9-1")
    run("change_booking", printed["id"], "--evse", "CP-9-1", "--end", "2030-01-15T12:30")

    assert "Changed meanwhile" in refusal(
        "decide", printed["id"], "--accept", "--version", printed["version"]
    )


def test_an_evse_outside_of_what_was_booked_is_the_depots_to_give(evse, truck):
    make_evse(charger=evse.charger, uid="CP-1-2")
    make_evse(make_depot(), uid="ELSEWHERE-1")
    printed = book()

    assert "ELSEWHERE-1" in refusal("change_booking", printed["id"], "--evse", "ELSEWHERE-1")
    [moved] = run("change_booking", printed["id"], "--evse", "cp-1-2")

    assert (moved["evse_uid"], moved["period"]) == ("CP-1-2", printed["period"])
    assert moved["events"][-1]["detail"]["by"] == "depot"


def test_a_change_after_its_deadline_is_refused(evse, truck, clock):
    printed = book()
    clock.move_to(at(9, 30))

    assert "Changes were possible until" in refusal(
        "change_booking", printed["id"], "--end", "2030-01-15T12:30"
    )


def test_the_fleet_cancels_by_its_deadline_and_the_depot_after_it(evse, truck, clock):
    printed = book()
    clock.move_to(at(9, 45))

    assert "could be cancelled until" in refusal("cancel_booking", printed["id"], "--reason", "TRAFFIC")
    [cancelled] = run("cancel_booking", printed["id"], "--reason", "broken_charger", "--by", "depot")

    assert (cancelled["status"], cancelled["cancel_reason"], cancelled["cancelled_by"]) == (
        "cancelled",
        "BROKEN_CHARGER",
        "depot",
    )
    assert "cancelled" in refusal("cancel_booking", printed["id"], "--reason", "FULL", "--by", "depot")


def test_a_reason_has_an_ocpi_name(evse, truck):
    printed = book()

    assert "TRAFFIC" in refusal("cancel_booking", printed["id"], "--reason", "RAIN")
    assert Booking.objects.get().status == "confirmed"


@pytest.mark.parametrize("id", ["99", "BKNOTHING", "", "9" * 40, "-1"])
@pytest.mark.parametrize(
    "command",
    [
        ["show_booking"],
        ["change_booking", "--end=2030-01-15T12:30"],
        ["cancel_booking", "--reason=FULL"],
        ["decide", "--accept"],
    ],
    ids=lambda command: command[0],
)
def test_a_booking_that_is_not_there_is_refused(command, id):
    assert "There is no booking" in refusal(*command, "--", id)


def test_the_depot_accepts_or_declines_what_waits_for_it(truck):
    make_evse(make_depot(terms={"approval": True}), uid="CP-1-1")
    first, second = book(), book(start="2030-01-15T13:00", end="2030-01-15T14:00")
    assert first["status"] == second["status"] == "requested"

    [accepted] = run("decide", first["id"], "--accept")
    [declined] = run("decide", second["id"], "--decline", "--reason", "Works on the road")

    assert (accepted["status"], declined["status"]) == ("confirmed", "declined")
    assert declined["requests"][0]["reason"] == "Works on the road"
    assert "waits for a decision" in refusal("decide", first["id"], "--accept")


def test_a_closure_moves_what_can_be_moved_and_cancels_the_rest(evse, truck):
    other = make_evse(charger=evse.charger, uid="CP-1-2")
    stays_free = book()
    both = book(start="2030-01-15T14:00", end="2030-01-15T15:00")
    book_slot(
        fleet=truck.fleet,
        option=option_of(other),
        period=slot(13, 14),
        vehicle=truck,
        actor=DISPATCHER,
        now=NOW,
    )

    [printed] = run(
        "close_evse",
        "cp-1-1",
        "--start",
        "2030-01-15T09:00",
        "--end",
        "2030-01-15T18:00",
        "--reason",
        "Cable",
    )

    assert printed["period"] == {"start": "2030-01-15T08:00:00Z", "end": "2030-01-15T17:00:00Z"}
    outcomes = {line["id"]: (line["outcome"], line["evse_uid"]) for line in printed["bookings"]}
    assert outcomes == {stays_free["id"]: ("moved", "CP-1-2"), both["id"]: ("cancelled", None)}
    assert run("show_booking", both["id"])[0]["cancel_reason"] == "BROKEN_CHARGER"
    assert Closure.objects.get().reason == "Cable"
    assert "taken" in booking_refused(start="2030-01-15T16:00", end="2030-01-15T17:00")


def test_a_closure_may_offer_the_nearest_other_time_instead(evse, truck):
    booked = book()

    [printed] = run(
        "close_evse", "CP-1-1", "--start", "2030-01-15T11:00", "--end", "2030-01-15T14:00", "--offer"
    )

    [line] = printed["bookings"]
    assert (line["id"], line["outcome"], line["evse_uid"]) == (booked["id"], "offered", "CP-1-1")
    assert line["period"] == {"start": "2030-01-15T09:00:00Z", "end": "2030-01-15T10:00:00Z"}
    assert line["until"] == "2030-01-15T08:45:00Z"
    assert run("show_booking", booked["id"])[0]["status"] == "confirmed"


def test_a_closure_that_cannot_be_is_refused(evse):
    span = ["--start", "2030-01-15T09:00", "--end", "2030-01-15T18:00"]

    assert "no EVSE NOPE" in refusal("close_evse", "NOPE", *span)
    assert "--end" in refusal(
        "close_evse", "CP-1-1", "--start", "2030-01-15T09:00", "--end", "2030-01-15T08:00"
    )
    assert "past" in refusal(
        "close_evse", "CP-1-1", "--start", "2029-01-15T09:00", "--end", "2029-01-15T10:00"
    )
    make_evse(make_depot(is_mirror=True), charger=None, uid="SIM-1-1")
    Evse.objects.filter(uid="SIM-1-1").update(charger=None)
    assert "partner" in refusal("close_evse", "SIM-1-1", *span)
    assert not Closure.objects.exists()


# What every command has in common


# None of these reaches the database.
UNREACHABLE = {"DATABASE_URL": "postgres://nobody@127.0.0.1:9/none"}


def test_a_refusal_is_a_sentence_on_standard_error_and_exit_code_1(tmp_path):
    program = [sys.executable, "manage.py", "import_depots", str(tmp_path / "none.json")]

    ended = subprocess.run(
        program, cwd=settings.BASE_DIR, env={**os.environ, **UNREACHABLE}, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"{tmp_path / 'none.json'} cannot be read: No such file or directory.\n"


@pytest.fixture(scope="module")
def programs() -> Iterator[Commands]:
    """Each command in a process of its own, forked from one that has loaded Django."""
    commands = Commands(settings.BASE_DIR, {**os.environ, **UNREACHABLE})
    yield commands
    commands.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ["import_depots"],
        ["add_organisation"],
        ["add_user", "--email", "a@b.example", "--organisation", "X", "--role", "boss"],
        ["decide", "7", "--accept", "--decline"],
        ["cancel_booking", "7", "--reason", "FULL", "--by", "weather"],
    ],
    ids=range(5),
)
def test_wrong_usage_is_exit_code_2(programs: Commands, arguments):
    ended = programs.run(*arguments)

    assert (ended.code, ended.stdout) == (2, "")
    assert "usage:" in ended.stderr


def test_a_database_that_does_not_answer_is_said_so(programs: Commands):
    ended = programs.run("show_booking", "7")

    assert (ended.code, ended.stdout) == (1, "")
    assert ended.stderr.startswith("The database does not answer")
    assert "Traceback" not in ended.stderr


def test_a_depots_power_is_limited_for_a_while_and_the_limit_lifted():
    evse = make_evse(make_depot(code="KASSEL"))

    (told,) = run("limit_depot", "kassel", "--kw", "250.5", "--until", "2030-01-15T12:00+01:00")
    (later,) = run(
        "limit_depot", "KASSEL", "--kw", 0, "--from", "2030-01-16T09:00", "--until", "2030-01-16T10:00"
    )

    assert (told["depot"], told["kw"], told["set_by"]) == ("KASSEL", 250.5, "operator command")
    assert told["period"] == {"start": "2030-01-15T08:00:00Z", "end": "2030-01-15T11:00:00Z"}
    assert (later["kw"], later["period"]["start"]) == (0, "2030-01-16T08:00:00Z")
    (lifted,) = run("limit_depot", "KASSEL", "--clear")
    assert [one["kw"] for one in lifted["lifted"]] == [250.5, 0]
    assert run("limit_depot", "KASSEL", "--clear") == [{"depot": "KASSEL", "lifted": []}]
    assert evse.depot.external_limits.filter(lifted_at=None).count() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["NOWHERE", "--clear"], "no depot"),
        (["KASSEL", "--kw", "100"], "--until"),
        (["KASSEL", "--clear", "--kw", "100"], "--clear"),
        (["KASSEL", "--kw", "-5", "--until", "2030-01-15T12:00Z"], "--kw"),
        (["KASSEL", "--kw", "5", "--until", "2029-01-15T12:00Z"], "not after"),
        (
            ["KASSEL", "--kw", "5", "--from", "2029-01-15T11:00Z", "--until", "2029-01-15T12:00Z"],
            "over already",
        ),
    ],
)
def test_a_limit_that_cannot_be_is_refused(arguments, words):
    make_depot(code="KASSEL")

    assert words in refusal("limit_depot", *arguments)
