"""The simulated partner by itself: it survives restarts of either side, and is a strict judge of what it is sent."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from roaming import registration
from roaming.models import Partner
from roaming.ocpi.times import time_out
from simulators.partner import PartnerSettings, PlatformError, SimulatedPartner
from tests.factories import at, make_depot, make_evse, make_operator
from tests.roaming.running import RunningSender, eventually
from tests.serving import MANAGE

pytestmark = pytest.mark.django_db(transaction=True)


def invite() -> registration.Invitation:
    return registration.invite(
        name="Simulated", country_code="FR", party_id="SIM", roles=["CPO", "EMSP"], now=timezone.now()
    )


@pytest.fixture
def offered(platform: str) -> str:
    """One EVSE of ours that anybody may book; its key at the partner."""
    return f"NL/LPK/{make_evse(make_depot(make_operator(cpo_party_id='LPK'))).uid}".upper()


@pytest.fixture
def invitation(platform: str, offered: str, tmp_path: Path) -> Path:
    made = invite()
    file = tmp_path / "invitation.json"
    file.write_text(json.dumps({"versions_url": made.versions_url, "token_a": made.token_a}))
    return file


def test_an_invitation_is_used_once_and_a_new_one_again(invitation: Path, tmp_path: Path) -> None:
    with SimulatedPartner(PartnerSettings(tmp_path / "state.json")) as partner:
        assert partner.registration.use_invitation(invitation)
        assert not partner.registration.use_invitation(invitation)

    with SimulatedPartner(PartnerSettings(tmp_path / "state.json")) as restarted:
        assert restarted.peer.is_registered
        assert not restarted.registration.use_invitation(invitation), "it remembers"
        registration.unregister(partner=Partner.objects.get(), now=timezone.now())
        again = invite()
        invitation.write_text(json.dumps({"versions_url": again.versions_url, "token_a": again.token_a}))
        assert restarted.registration.use_invitation(invitation)
    assert Partner.objects.get().is_registered


def test_without_an_invitation_it_waits(tmp_path: Path, platform: str) -> None:
    with SimulatedPartner(PartnerSettings(tmp_path / "state.json")) as partner:
        assert not partner.registration.use_invitation(tmp_path / "nothing.json")
        assert not partner.peer.is_registered


def test_a_new_address_is_announced(invitation: Path, tmp_path: Path) -> None:
    with SimulatedPartner(PartnerSettings(tmp_path / "state.json")) as partner:
        partner.registration.use_invitation(invitation)
        old = partner.url
        assert not partner.registration.announce_address()

    with SimulatedPartner(
        PartnerSettings(tmp_path / "state.json", listen=("127.0.0.1", free_port()))
    ) as moved:
        assert moved.url != old
        assert moved.registration.announce_address()
        row = Partner.objects.get()
        assert row.versions_url == moved.versions_url
        assert all(endpoint["url"].startswith(moved.url) for endpoint in row.endpoints)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def test_it_keeps_its_port_between_runs(tmp_path: Path) -> None:
    with SimulatedPartner(PartnerSettings(tmp_path / "state.json")) as partner:
        port = partner.port

    with SimulatedPartner(PartnerSettings(tmp_path / "state.json")) as again:
        assert again.port == port


def test_its_trucks_book_with_us_and_it_holds_the_answer(
    invitation: Path, tmp_path: Path, offered: str
) -> None:
    with SimulatedPartner(PartnerSettings(tmp_path / "state.json")) as partner, RunningSender():
        partner.registration.use_invitation(invitation)
        eventually(lambda: offered in partner.received.of("booking_locations"))

        booked = partner.emsp.book()

        assert booked
        assert booked["reservation_status"] == "RESERVED"
        eventually(lambda: f"NL/LPK/{booked['id']}".upper() in partner.received.of("bookings"))


def test_a_token_that_died_is_refused_on_both_sides(invitation: Path, tmp_path: Path) -> None:
    with SimulatedPartner(PartnerSettings(tmp_path / "state.json")) as partner:
        partner.registration.use_invitation(invitation)
        registration.unregister(partner=Partner.objects.get(), now=timezone.now())

        with pytest.raises(PlatformError, match="401"):
            partner.emsp.book()


def test_it_refuses_what_the_protocol_does_not_know(tmp_path: Path, clock: Any) -> None:
    with SimulatedPartner(PartnerSettings(tmp_path / "state.json")) as partner:
        for token, expected in (("", 401), ("Token bm90LWEtdG9rZW4=", 401), ("Basic x", 401)):
            status, envelope, _ = partner.answer("GET", "/ocpi/versions", {"authorization": token}, b"")
            assert (status, envelope["status_code"]) == (expected, 2000)


def test_the_command_runs_without_a_database_and_ends_cleanly(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            MANAGE,
            "simulate_partner",
            "--invite",
            "--state",
            tmp_path / "s.json",
            "--book-every",
            "0",
        ],
        env={**os.environ, "BERTH_VAR": str(tmp_path), "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Listening on http://127.0.0.1:")
    assert set(json.loads(process.stdout.readline())) == {"versions_url", "token_a"}
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0


def test_its_slow_depot_decides_after_a_while(tmp_path: Path, clock: Any) -> None:
    with SimulatedPartner(PartnerSettings(tmp_path / "state.json")) as partner:
        with partner.state.changing() as state:
            role = {"role": "EMSP", "country_code": "DE", "party_id": "NFE"}
            state["peer"] = {
                "roles": [role],
                "token_in": "t",
                "token_out": "t",
                "endpoints": [],
                "versions_url": "",
            }
        ask = {
            "country_code": "DE", "party_id": "NFE", "request_id": "r", "location_id": "SIM-METZ",
            "booking_location_id": "SIM-METZ-MCS", "authorization_reference": "a",
            "period": {"start_date_time": time_out(at(12)), "end_date_time": time_out(at(13))},
        }  # fmt: skip
        headers = {"authorization": "Token dA=="}
        _, made, _ = partner.answer("POST", "/ocpi/cpo/2.3.0/bookings", headers, json.dumps(ask).encode())
        assert made["data"]["reservation_status"] == "PENDING"

        clock.shift(timedelta(seconds=9))

        booking = eventually(
            lambda: (
                (b := partner.desk.bookings()[made["data"]["id"]])["reservation_status"] == "RESERVED" and b
            )
        )
        assert booking["booking_option"]["evse_uid"] == "SIM-METZ-1"
