"""What a manager has a charger do from its page: asked once, with its answer and how far it is, or refused before it is sent."""

from datetime import timedelta
from io import BytesIO
from unittest.mock import patch

import pytest
from django.test import Client
from django.test.client import MULTIPART_CONTENT
from django.urls import reverse

from bookings.maintenance.charger_requests import checked_settings, in_the_way, settings_version
from depots import uploads
from depots.capabilities import why_not
from depots.models import Charger, ChargerCommand, ChargerUpload, Membership
from depots.operations import queue_command
from depots.operations.charger_uploads import forget_old_uploads
from depots.queries import describe_charger
from simulators.charger import Refuse
from tests.bookings.people import client_of
from tests.factories import NOW, make_charger, make_evse, make_user
from tests.scenarios.bed import Bed, ScriptedCharger, eventually

pytestmark = pytest.mark.usefixtures("gate", "page_clock")

ALL = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")


@pytest.fixture
def page_clock():
    """Pages read the clock of the gateway."""
    with patch("django.utils.timezone.now", return_value=NOW):
        yield


@pytest.fixture
def row(transactional_db) -> Charger:
    row = make_charger()
    make_evse(charger=row)
    make_evse(charger=row)
    return row


@pytest.fixture
def manager(row) -> Client:
    return client_of(make_user(row.depot.operator, Membership.Role.DEPOT_MANAGER))


def online(bed: Bed, row: Charger, protocol: str, **configuration: str) -> ScriptedCharger:
    charger = bed.charger(row, protocol)
    charger.sim.configuration.update(configuration)
    charger.come_online()
    eventually(lambda: row.commands.filter(action="ask_capabilities", state="answered").exists())
    return charger


def send(manager: Client, row: Charger, verb: str, status: int = 302, **fields: str) -> ChargerCommand | None:
    row.refresh_from_db()
    period = None
    url = reverse("bookings:charger_command", args=[row.depot.code, row.identity, verb])
    version = in_the_way(row, now=NOW, period=period).version
    answer = manager.post(url, {"version": version, **fields})
    assert answer.status_code == status, answer.content.decode()[-2000:]
    return row.commands.order_by("id").last()


def settled(command: ChargerCommand | None) -> ChargerCommand:
    assert command is not None

    def look() -> bool:
        command.refresh_from_db()
        return command.state not in {"queued", "sent"}

    eventually(look)
    return command


@pytest.mark.parametrize("protocol", ALL)
def test_each_command_is_asked_by_whom_and_answered(bed: Bed, row, manager, protocol):
    charger = online(bed, row, protocol)
    uid = row.evses.get(number=1).uid

    charger.will_answer("ClearCache", {"status": "Accepted"})
    started = settled(send(manager, row, "start", evse=uid, card="04AABBCCDD10"))
    session = eventually(row.sessions.first)
    stopped = settled(send(manager, row, "stop", session=session.transaction))
    eventually(lambda: row.sessions.get().ended_at)
    row.evses.filter(uid=uid).update(status="unknown", told_status="unknown")
    told = settled(send(manager, row, "message", message="StatusNotification", evse=uid))
    eventually(lambda: row.evses.get(uid=uid).status != "unknown")
    others = [
        settled(send(manager, row, "unlock", evse=uid)),
        told,
        settled(send(manager, row, "cache")),
        settled(send(manager, row, "availability", service="inoperative", evse=uid)),
    ]
    settled(send(manager, row, "availability", service="operative", evse=uid))

    assert [c.answer for c in (started, stopped, *others)] == [
        "accepted",
        "accepted",
        "unlocked",
        *["accepted"] * 3,
    ]
    assert {c.asked_by for c in others} == {Membership.objects.get(role="depot_manager").user.email}
    page = manager.get(reverse("bookings:charger", args=[row.depot.code, row.identity])).content.decode()
    assert "Unlocked" in page
    assert started.asked_by in page
    assert charger.count("UnlockConnector") == 1


@pytest.mark.parametrize(("protocol", "call", "told"), [
    ("ocpp1.6", "GetDiagnostics", "DiagnosticsStatusNotification"),
    ("ocpp2.0.1", "GetLog", "LogStatusNotification"),
    ("ocpp2.1", "GetLog", "LogStatusNotification"),
])  # fmt: skip
def test_a_log_comes_to_an_address_of_one_use_and_its_progress_is_shown(
    bed: Bed, row, manager, protocol, call, told
):
    charger = online(bed, row, protocol)
    name = {"fileName": "log.txt"} if protocol == "ocpp1.6" else {"status": "Accepted", "filename": "log.txt"}
    charger.will_answer(call, name)

    command = settled(send(manager, row, "log", kind="log"))

    asked = charger.heard(call)
    address = asked["location"] if protocol == "ocpp1.6" else asked["log"]["remoteLocation"]
    request = {} if protocol == "ocpp1.6" else {"requestId": asked["requestId"]}
    charger.ask(told, {"status": "Uploading", **request})
    path = "/charger-files/" + address.rpartition("/charger-files/")[2]
    stranger = Client(enforce_csrf_checks=True)
    assert stranger.put(path + "../../my log.txt", b"what it did").status_code in {201, 404}
    upload = ChargerUpload.objects.get(command=command)
    if upload.received_at is None:
        assert stranger.put(path + "log.txt", b"what it did").status_code == 201
    assert stranger.put(path, b"again").status_code == 404
    charger.ask(told, {"status": "Uploaded", **request})

    page = manager.get(reverse("bookings:charger", args=[row.depot.code, row.identity])).content.decode()
    assert "Sent</span>" in page
    url = reverse("bookings:charger_file", args=[row.depot.code, row.identity, command.pk])
    assert url in page
    answer = manager.get(url)
    assert answer.content == b"what it did"
    assert "attachment" in answer["Content-Disposition"]
    assert address.split("/")[-2] not in page  # the secret is nobody's business
    assert address.split("/")[-2] not in str(describe_charger(row, now=NOW))
    assert forget_old_uploads(now=NOW + timedelta(days=32)) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("content", [b"what it did", {"file": BytesIO(b"what it did")}])
def test_nothing_is_read_of_a_file_that_nobody_awaits(content, monkeypatch):
    read = []
    monkeypatch.setattr(uploads, "_sent", lambda request: read.append(request) or (b"", ""))

    kind = MULTIPART_CONTENT if isinstance(content, dict) else "application/octet-stream"
    assert Client().post("/charger-files/guess/", content, content_type=kind).status_code == 404
    assert read == []


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
def test_firmware_is_installed_when_it_is_asked_for_and_its_progress_is_shown(
    bed: Bed, row, manager, protocol
):
    charger = online(bed, row, protocol)
    charger.will_answer("UpdateFirmware", {} if protocol == "ocpp1.6" else {"status": "Accepted"})
    url = reverse("bookings:charger_command", args=[row.depot.code, row.identity, "firmware"])
    place = {"location": "https://maker.example/fw.bin", "at": "2030-01-16 03:00"}
    assert manager.post(url, {"version": "1", **place, "location": "javascript:alert(1)"}).status_code == 422
    assert manager.post(url, {"version": "1", **place}).status_code == 409
    version = in_the_way(row, now=NOW).version

    assert manager.post(url, {"version": version, **place}).status_code == 302

    asked = charger.heard("UpdateFirmware")
    if protocol == "ocpp1.6":
        assert (asked["location"], asked["retrieveDate"]) == (place["location"], "2030-01-16T02:00:00.000Z")
    else:
        assert asked["firmware"]["installDateTime"] == "2030-01-16T02:00:00.000Z"
    for status in ("Downloading", "Installed", "Idle"):
        charger.ask("FirmwareStatusNotification", {"status": status})
    assert row.commands.get(action="update_firmware").progress == "Installed"


@pytest.mark.parametrize(("protocol", "call", "told"), [
    ("ocpp1.6", "SignedUpdateFirmware", "SignedFirmwareStatusNotification"),
    ("ocpp2.1", "UpdateFirmware", "FirmwareStatusNotification"),
])  # fmt: skip
def test_signed_firmware_goes_with_its_signature_and_a_request_that_is_not_ours_moves_nothing(
    bed: Bed, row, manager, protocol, call, told
):
    charger = online(bed, row, protocol)
    charger.will_answer(call, {"status": "Accepted"})
    url = reverse("bookings:charger_command", args=[row.depot.code, row.identity, "firmware"])
    signed = {"signature": "c2lnbmF0dXJl", "certificate": "-----BEGIN CERTIFICATE-----"}
    place = {"location": "https://maker.example/fw.bin", "at": "2030-01-16 03:00", **signed}

    manager.post(url, {"version": in_the_way(row, now=NOW).version, **place})

    asked = charger.heard(call)
    assert (asked["firmware"]["signature"], asked["firmware"]["signingCertificate"]) == tuple(signed.values())
    command = settled(row.commands.get(action="update_firmware"))
    charger.ask(told, {"status": "Installed", "requestId": asked["requestId"] + 1})
    charger.ask(told, {"status": "InvalidSignature", "requestId": asked["requestId"]})
    command.refresh_from_db()
    assert command.progress == "InvalidSignature"
    charger.ask(told, {"status": "Installed", "requestId": asked["requestId"] - 1})
    command.refresh_from_db()
    assert (command.answer, command.progress) == ("accepted", "InvalidSignature")


def test_a_charger_that_comes_with_a_certificate_is_offered_no_password(bed: Bed, row, manager):
    place = [row.depot.code, row.identity]
    buttons = ["charger_password", "charger_new_password"]
    row.password_hash = "x"
    row.security_profile = 3
    row.save()

    page = manager.get(reverse("bookings:charger", args=place)).content.decode()

    assert "3: client certificate" in page
    for name in buttons:
        address = reverse(f"bookings:{name}", args=place)
        assert address not in page
        assert manager.post(address, {"version": "1"}).status_code == 409
    row.refresh_from_db()
    assert (row.password_hash, row.next_password_hash) == ("x", "")


def test_a_raise_is_asked_for_on_the_page_and_said_how_far_it_is(bed: Bed, row, manager, settings):
    online(bed, row, "ocpp1.6")
    form = reverse("bookings:charger_command", args=[row.depot.code, row.identity, "security"])
    assert "interface" not in manager.get(form).context["form"].fields
    send(manager, row, "security", status=409, profile="2")
    page = manager.get(reverse("bookings:charger", args=[row.depot.code, row.identity])).content.decode()
    assert "Raise security: Chargers cannot be told where Berth is over TLS" in page
    settings.BERTH_OCPP_PUBLIC_URL = "wss://berth.example/ocpp"
    send(manager, row, "security", status=422, profile="1")

    command = settled(send(manager, row, "security", profile="2"))

    assert (command.action, command.answer) == ("installed_certificates", "not_found")
    page = manager.get(reverse("bookings:charger", args=[row.depot.code, row.identity])).content.decode()
    assert "To 2 broken off. It has no root to trust Berth by" in page
    assert command.asked_by in page


def test_what_a_charger_cannot_do_is_refused_before_it_is_sent(bed: Bed, row, manager):
    charger = online(bed, row, "ocpp1.6", SupportedFeatureProfiles="Core, reservation")
    row.refresh_from_db()

    told = settled(
        queue_command(charger=row, action="trigger", payload={"message": "Heartbeat", "evse": None}, now=NOW)
    )

    assert (told.state, told.answer, told.sent_at) == ("answered", "not_supported", None)
    assert told.answer_text == f"{row} tells that it cannot be asked for messages."
    assert charger.count("TriggerMessage") == 0
    send(manager, row, "message", status=409, message="Heartbeat", evse="")

    # What it does not know it is asked once with the same firmware, whatever else it answers.
    charger.will_answer("ClearCache", Refuse("NotImplemented"))
    assert settled(send(manager, row, "cache")).answer == "not_supported"
    send(manager, row, "cache", status=409)
    charger.boot()
    row.refresh_from_db()
    assert "other firmware" in why_not(row, "clear_cache")
    charger.sim.firmware = "2.0"
    charger.boot()
    row.refresh_from_db()
    assert why_not(row, "clear_cache") == ""


def test_a_form_sent_twice_or_while_somebody_comes_is_looked_at_again(bed: Bed, row, manager):
    charger = online(bed, row, "ocpp1.6")
    url = reverse("bookings:charger_command", args=[row.depot.code, row.identity, "restart"])
    version = in_the_way(row, now=NOW).version
    charger.start(1, "04AABBCCDD10")

    answer = manager.post(url, {"version": version, "how": "soft"})

    assert answer.status_code == 409
    assert "charging since" in answer.content.decode()
    charger.stop(1)
    assert manager.post(url, {"version": version, "how": "soft"}).status_code == 302
    assert manager.post(url, {"version": version, "how": "soft"}).status_code == 409
    assert row.commands.filter(action="reset").count() == 1


def test_settings_are_mended_with_one_click(bed: Bed, row, manager):
    charger = online(bed, row, "ocpp1.6", HeartbeatInterval="900")
    url = reverse("bookings:charger_settings", args=[row.depot.code, row.identity])

    assert (
        manager.post(url, {"version": settings_version(row, checked_settings(row)), "mend": "1"}).status_code
        == 302
    )

    eventually(lambda: charger.sim.configuration["HeartbeatInterval"] == "60")
    row = Charger.objects.get(pk=row.pk)
    eventually(lambda: Charger.objects.get(pk=row.pk).settings_check.stage == "done")
    page = manager.get(reverse("bookings:charger", args=[row.depot.code, row.identity])).content.decode()
    assert "As they should be" in page

    settled(send(manager, row, "everything"))
    listed = manager.get(
        reverse("bookings:charger_inventory", args=[row.depot.code, row.identity])
    ).content.decode()
    assert "SupportedFeatureProfiles" in listed
    yard = manager.get(reverse("bookings:yard", args=[row.depot.code])).content.decode()
    assert "As wanted" in yard
