"""Both sides compared and told again by a click: how far that is, what differs, and its repair; and charging of nobody here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from depots.models import Membership
from roaming.console import comparing, operations, resyncing
from roaming.console.operations import Act
from roaming.models import Partner, PartnerComparison, PartnerObject, PartnerPull
from roaming.ocpi.call_failures import Unreachable
from roaming.outbound import comparison
from roaming.outbound.comparison import Difference, What
from tests.factories import NOW, make_fleet, make_user, make_vehicle
from tests.roaming import told_charging
from tests.roaming.partners import Caller, code, make_partner
from tests.roaming.told_charging import CDRS, cdr, session, token

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client, clock: Any) -> Client:
    client.force_login(make_user(make_fleet(), Membership.Role.ADMIN, is_staff=True))
    return client


def act(partner: Partner, version: int, **times: Any) -> Act:
    return Act(partner.pk, "a@b.example", version, times.get("now", NOW))


def ask(partner: Partner) -> PartnerComparison:
    comparing.ask(act(partner, comparing.comparison_version(partner)))
    return PartnerComparison.objects.get(partner=partner)


def shown(client: Client, partner: Partner) -> str:
    return client.get(f"/partners/{partner.pk}/comparison/").content.decode()


def test_a_comparison_tells_how_far_it_is_then_what_differs_and_is_repaired_once(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner, seen = make_partner(), list[str]()
    row = partner.deliveries.create(
        kind="location", object_id=7, wanted_version=1, delivered_version=1, delivered={"digest": "x"}
    )
    found = [
        Difference("location", "D1", What.DIFFERS_THERE, ("name",), 7),
        Difference("cdr", "C1", What.MISSING_HERE, ("id",)),
    ]

    def compare(*, progress: Any, **_: Any) -> list[Difference]:
        progress(3, 9)
        seen.append(shown(admin, partner))
        return found

    monkeypatch.setattr(comparison, "compare", compare)
    assert "Not compared yet" in shown(admin, partner)
    ask(partner)
    assert "It begins in a moment" in shown(admin, partner)
    comparing.carry_out(partner_id=partner.pk, clock=lambda: NOW)
    comparing.carry_out(partner_id=partner.pk, clock=lambda: NOW)

    assert len(seen) == 1, "what is over is not begun again"
    assert "3 of 9 objects and lists were asked for" in seen[0]
    page = shown(admin, partner)
    for words in ("2 differences", "It has it otherwise", "name", "We do not have it", "Repair all of these"):
        assert words in page
    comparing.repair(act(partner, comparing.comparison_version(partner)))
    row.refresh_from_db()
    assert (row.next_try_at is not None, row.delivered) == (True, {"digest": ""})
    assert "Repair all of these" not in shown(admin, partner)


def test_a_comparison_that_cannot_be_made_says_why_and_one_that_was_killed_ends(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = make_partner()

    def compare(**_: Any) -> list[Difference]:
        raise Unreachable("no answer in time")

    monkeypatch.setattr(comparison, "compare", compare)
    ask(partner)
    comparing.carry_out(partner_id=partner.pk, clock=lambda: NOW)
    assert "It could not be compared: no answer in time" in shown(admin, partner)

    ask(partner)
    long_ago = NOW - comparing.LASTS_AT_MOST
    PartnerComparison.objects.update(asked_at=long_ago)
    page = shown(admin, partner)
    assert "broke off" in page
    assert "Compare again" in page


def test_a_comparison_that_is_asked_for_anew_is_not_overwritten_by_the_one_before(
    monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    partner = make_partner()
    later = NOW + timedelta(seconds=5)

    def compare(**_: Any) -> list[Difference]:
        PartnerComparison.objects.update(asked_at=later, done=0, total=None)
        return [Difference("location", "D1", What.DIFFERS_THERE, ("name",), 7)]

    monkeypatch.setattr(comparison, "compare", compare)
    ask(partner)
    comparing.carry_out(partner_id=partner.pk, clock=lambda: NOW)

    row = PartnerComparison.objects.get()
    assert (row.asked_at, row.finished_at, row.number) == (later, None, 0)


def test_all_again_is_told_as_it_goes_on(admin: Client) -> None:
    partner = make_partner()
    PartnerPull.objects.create(
        partner=partner, module="location", next_at=NOW, read_at=NOW - timedelta(days=1)
    )
    resyncing.resync_all(act(partner, operations.sending_version(partner)))
    for number, next_try_at in enumerate((NOW, None)):
        partner.deliveries.create(
            kind="location", object_id=number, wanted_version=1, next_try_at=next_try_at, delivered_at=NOW
        )
    page = f"/partners/{partner.pk}/"

    assert "1 of 2 objects and 1 of 1 lists are still to go" in admin.get(page).content.decode()
    partner.deliveries.update(next_try_at=None)
    partner.pulls.update(read_at=NOW)
    assert "All was sent and read again" in admin.get(page).content.decode()


def test_charging_of_nobody_here_is_listed_set_aside_and_matched_when_its_token_is_known(
    admin: Client, clock: Any
) -> None:
    role = {"role": "CPO", "country_code": "FR", "party_id": "CPO", "name": "Network"}
    partner = make_partner("CPO", country_code="FR", roles=[role])
    caller = Caller(partner)
    stranger = token(uid="04STRANGER", authorization_reference=None)
    assert (
        code(
            caller.send(
                "PUT", told_charging.SESSION, session(cdr_token=stranger, authorization_reference=None)
            )
        )[1]
        == 1000
    )
    bill = cdr(cdr_token=stranger, authorization_reference=None)
    assert code(caller.post(CDRS, bill))[1] == 1000

    page = admin.get(f"/partners/{partner.pk}/").content.decode()
    assert 'data-unmatched="S-1"' in page
    assert 'data-unmatched="CDR-1"' in page
    assert "2 sessions or records of nobody here" in admin.get("/partners/").content.decode()

    [row] = PartnerObject.objects.filter(kind="session")
    operations.set_aside(act(partner, operations.unmatched_version(row), now=NOW + timedelta(days=1)), row.pk)
    make_vehicle(make_fleet("Late", country_code="DE", emsp_party_id="NFE"), token="04STRANGER")
    caller.post(CDRS, bill)

    assert not PartnerObject.objects.filter(kind="cdr", is_unmatched=True).exists()
    assert "data-unmatched" not in admin.get(f"/partners/{partner.pk}/").content.decode()
