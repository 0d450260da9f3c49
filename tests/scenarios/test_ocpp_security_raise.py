"""A charger's security profile is raised over OCPP, and at no moment is the charger locked out."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from bookings import scheduler
from bookings.maintenance import restart_in_gaps, restarts
from depots.models import Charger, ChargerCommand, SecurityRaise
from depots.ocpp.tls import ServerTls, TlsFiles
from depots.operations import settle_command
from depots.operations.certificate_requests import create_authority, own_roots
from depots.operations.security_raise import (
    PRIORITY,
    CannotRaiseError,
    begin_raise,
    look_after_raises,
    note_restart,
    take_shown_profile,
)
from simulators.charger import CsmsError, CsmsSilent
from tests.factories import NOW, make_charger
from tests.scenarios.authority import issue
from tests.scenarios.bed import Bed, ScriptedCharger, eventually
from tests.scenarios.test_ocpp_security_profiles import refused

TROUBLE = (OSError, InvalidHandshake, ConnectionClosed, CsmsError, CsmsSilent)


class SecureSite:
    """The bed's gateway with and without TLS, at one TLS address whatever becomes of it."""

    def __init__(self, bed: Bed, folder) -> None:
        self.bed, self.authority = bed, issue(folder, "Server authority")
        server = issue(folder, "localhost", by=self.authority)
        self._tls = ServerTls(TlsFiles(server.certificate, server.key), own_roots)
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = listener.getsockname()
        bed.stop_gateway()
        bed.gateway = bed.start_gateway(tls=self._tls, tls_listener=listener)
        self.kills = 0

    @property
    def url(self) -> str:
        return f"wss://127.0.0.1:{self.address[1]}/ocpp"

    def start(self, after_commit) -> None:
        self.bed.gateway = self.bed.start_gateway(
            tls=self._tls, tls_listener=socket.create_server(self.address), after_commit=after_commit
        )


@pytest.fixture
def secure_site(bed: Bed, gate, tmp_path, settings) -> SecureSite:
    bed.clock.now = datetime.now(UTC)  # TLS goes by the real clock
    create_authority(name="Berth chargers", now=bed.clock())
    site = SecureSite(bed, tmp_path)
    settings.BERTH_OCPP_PUBLIC_URL = site.url
    settings.BERTH_OCPP_SERVER_ROOT = str(site.authority.certificate)
    return site


class Killer:
    """Kills the gateway right after every settled step, and every other time that one was about to be sent, twice a step: a
    command is not repeated for ever, and its turn would be the one that dies each time."""

    def __init__(self, site: SecureSite) -> None:
        self._site, self.is_on, self.wants_kill, self.rest = site, False, False, 0
        self.step = ""
        self._seen: Counter[tuple[str, str]] = Counter()

    def __call__(self, name: str) -> None:
        if not self.is_on or self.wants_kill:
            return
        self.rest = 0
        self._seen[name, self.step] += 1
        seen = self._seen[name, self.step]
        if name in {"take_command", "take_shown_profile"} and seen not in {1, 3}:
            return
        if name in {"take_command", "take_shown_profile", "settle_command", "sign_request"}:
            self.wants_kill = True
            self._spared = 2 if self._site.kills % 3 == 2 else 0
            asyncio.get_running_loop().create_task(self._site.bed.gateway.abort())
            raise ConnectionResetError("killed")


def lives_on(site: SecureSite, charger: ScriptedCharger, killer: Killer) -> None:
    """It comes back whenever it is gone, and is restarted where it has been asked to; the gateway after each kill. Where
    nothing moves, its request for a certificate was lost.
    """
    if killer.wants_kill:
        site.kills += 1
        eventually(lambda: not charger.is_connected)
        site.start(killer)
        killer.wants_kill = False
    if charger.url.startswith("ws:"):
        charger.sim.url = site.bed.gateway.url
    if not charger.is_connected:
        with suppress(*TROUBLE):
            charger.come_online()
    restart_in_gaps(now=site.bed.clock())
    killer.rest += 1
    if killer.rest > 100:
        killer.rest = 0
        look_after_raises(now=site.bed.clock() + timedelta(minutes=11))


@pytest.mark.parametrize(
    ("protocol", "kills"),
    [("ocpp1.6", False), ("ocpp2.1", False), pytest.param("ocpp2.0.1", True, marks=pytest.mark.long)],
)
def test_a_profile_is_raised_step_by_step_and_what_is_less_opens_until_it_has_come_with_it(
    secure_site: SecureSite, protocol: str, kills: bool
):
    site, bed = secure_site, secure_site.bed
    row = make_charger()
    charger = bed.charger(row, protocol, secure_url=site.url)

    async def off() -> None:
        await charger.sim.power_down()
        await charger.sim.connection.close()

    charger.sim.on_reset = off
    killer = Killer(site)
    site.bed.stop_gateway()
    site.start(killer)
    charger.sim.url = bed.gateway.url
    charger.come_online()
    eventually(lambda: not ChargerCommand.objects.filter(state__in=["queued", "sent"]).exists())
    killer.is_on = kills

    begin_raise(charger_id=row.pk, profile=3, asked_by="A manager", now=bed.clock())

    def is_over() -> bool:
        lives_on(site, charger, killer)
        raised = SecurityRaise.objects.get(charger=row)
        assert raised.why == ""
        killer.step = raised.step
        return raised.ended_at is not None

    eventually(is_over)
    killer.is_on = False
    lives_on(site, charger, killer)
    row.refresh_from_db()
    assert (row.security_profile, row.replaced_security_profile, row.next_security_profile) == (3, 1, None)
    assert site.kills > 6 if kills else site.kills == 0
    assert charger.is_connected
    assert charger.url == site.url
    assert not ChargerCommand.objects.filter(charger=row, asked_by="", action="set_security_profile").exists()
    before = bed.charger(row, protocol)
    assert refused(before)[0] == 403


def raising(row: Charger, profile: int = 2, **about) -> SecurityRaise:
    begun = begin_raise(charger_id=row.pk, profile=profile, now=NOW)
    SecurityRaise.objects.filter(pk=begun.pk).update(**about)
    return SecurityRaise.objects.get(pk=begun.pk)


@pytest.mark.django_db
def test_a_profile_is_never_lowered_and_nothing_is_begun_that_could_not_end(settings):
    row = make_charger(security_profile=2, password_hash="x")

    with pytest.raises(CannotRaiseError, match="2 already"):
        begin_raise(charger_id=row.pk, profile=2, now=NOW)
    with pytest.raises(CannotRaiseError, match="BERTH_OCPP_PUBLIC_URL"):
        begin_raise(charger_id=row.pk, profile=3, now=NOW)
    settings.BERTH_OCPP_PUBLIC_URL = "wss://berth.example/ocpp"
    with pytest.raises(CannotRaiseError, match="no authority"):
        begin_raise(charger_id=row.pk, profile=3, now=NOW)
    with pytest.raises(CannotRaiseError, match="no password"):
        begin_raise(charger_id=make_charger().pk, profile=2, now=NOW)


@pytest.mark.django_db
def test_one_that_does_not_come_is_restarted_once_and_then_given_up_with_both_ways_open(settings):
    settings.BERTH_OCPP_PUBLIC_URL = "wss://berth.example/ocpp"
    row = make_charger(password_hash="x")
    raised = raising(row, step="coming", moved_at=NOW)
    Charger.objects.update(next_security_profile=2)

    take_shown_profile(charger_id=row.pk, shown=1, now=NOW)
    look_after_raises(now=NOW + timedelta(minutes=11))
    raised.refresh_from_db()
    assert (raised.step, raised.came_without) == ("restart", 1)
    SecurityRaise.objects.update(step="coming", restarted_at=NOW)
    for _ in range(2):
        take_shown_profile(charger_id=row.pk, shown=1, now=NOW)

    raised.refresh_from_db()
    row.refresh_from_db()
    assert "cannot connect" in raised.why
    assert (row.security_profile, row.next_security_profile) == (1, 2)
    take_shown_profile(charger_id=row.pk, shown=2, now=NOW)
    row.refresh_from_db()
    assert (row.security_profile, row.next_security_profile) == (2, None)


@pytest.mark.django_db
def test_a_step_that_is_never_answered_is_broken_off(settings):
    settings.BERTH_OCPP_PUBLIC_URL = "wss://berth.example/ocpp"
    raised = raising(make_charger(password_hash="x"))

    look_after_raises(now=NOW + timedelta(minutes=59))
    look_after_raises(now=NOW + timedelta(minutes=61))

    raised.refresh_from_db()
    assert (raised.ended_at, raised.command.state) == (NOW + timedelta(minutes=61), "stale")


def answered(raised: SecurityRaise, answer: str, text: str = "") -> SecurityRaise:
    settle_command(command_id=raised.command_id, answer=answer, answer_text=text, now=NOW)
    raised.refresh_from_db()
    return raised


@pytest.mark.django_db
def test_a_charger_without_a_slot_to_spare_is_told_nothing(settings):
    settings.BERTH_OCPP_PUBLIC_URL = "wss://berth.example/ocpp"
    raised = raising(make_charger(password_hash="x", spoken_protocol="ocpp2.0.1"))
    answered(raised, "accepted", '[{"serialNumber": "1"}]')

    answered(raised, "accepted", json.dumps({PRIORITY: "0,1,2,3,4"}))

    assert raised.command.state == "answered"
    assert (raised.ended_at, raised.why) == (NOW, "All of its network profiles are in use.")


@pytest.mark.django_db
def test_a_root_that_is_gone_meanwhile_breaks_a_raise_off_and_nothing_else(settings, tmp_path):
    settings.BERTH_OCPP_PUBLIC_URL = "wss://berth.example/ocpp"
    root = issue(tmp_path, "Server authority").certificate
    settings.BERTH_OCPP_SERVER_ROOT = str(root)
    raised = raising(make_charger(password_hash="x"))
    answered(raised, "rejected")
    root.unlink()

    answered(raised, "accepted", '[{"serialNumber": "1"}]')

    assert raised.command.state == "answered"
    assert raised.ended_at == NOW
    assert "BERTH_OCPP_SERVER_ROOT cannot be used" in raised.why


@pytest.mark.django_db
def test_one_that_says_it_restarts_and_never_connects_again_is_not_waited_for_for_ever(settings):
    settings.BERTH_OCPP_PUBLIC_URL = "wss://berth.example/ocpp"
    raised = raising(make_charger(password_hash="x"), step="coming", moved_at=NOW, restarted_at=NOW)

    look_after_raises(now=NOW + timedelta(minutes=59))
    raised.refresh_from_db()
    assert raised.ended_at is None
    look_after_raises(now=NOW + timedelta(minutes=61))

    raised.refresh_from_db()
    assert "has not come" in raised.why


@pytest.mark.django_db
def test_one_charger_that_cannot_be_cared_for_holds_up_no_other(settings, monkeypatch):
    settings.BERTH_OCPP_PUBLIC_URL = "wss://berth.example/ocpp"
    online = {"password_hash": "x", "lease_holder": "here", "lease_until": NOW + timedelta(days=1)}
    bad, good = [raising(make_charger(**online), step="restart", moved_at=NOW) for _ in range(2)]

    def fail_for_bad(raised: SecurityRaise, *, now: datetime) -> None:
        assert raised.pk != bad.pk
        note_restart(raised, now=now)

    monkeypatch.setattr(restarts, "note_restart", fail_for_bad)
    monkeypatch.setattr(scheduler, "CARE", (lambda now: 1 / 0, *scheduler.CARE))
    scheduler.run_tick(NOW)

    asked = ChargerCommand.objects.filter(action="reset").values_list("charger", flat=True)
    assert list(asked) == [good.charger_id]
