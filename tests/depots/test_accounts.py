from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.utils import timezone

from depots.accounts import set_password_url
from depots.models import Depot, Membership, Organisation, User
from depots.templatetags.berth import STATUS

pytestmark = pytest.mark.django_db

PASSWORD = "a long enough password"
NEW_PASSWORD = "another good enough password"


@pytest.fixture
def operator() -> Organisation:
    return Organisation.objects.create(name="Ladepark")


@pytest.fixture
def manager(operator: Organisation) -> User:
    return _member(operator, "manager@ladepark.example", Membership.Role.DEPOT_MANAGER)


@pytest.fixture
def dispatcher(operator: Organisation) -> User:
    return _member(operator, "dispatcher@ladepark.example", Membership.Role.DISPATCHER)


def _member(organisation: Organisation, email: str, role: str) -> User:
    user = User.objects.create_user(email, PASSWORD)
    Membership.objects.create(user=user, organisation=organisation, role=role)
    return user


def _sign_in(client: Client, login: str, password: str = PASSWORD, **more: str) -> object:
    return client.post("/", {"login": login, "password": password, **more})


def test_a_dispatcher_starts_at_the_day_and_a_manager_at_the_first_board(
    client: Client, operator: Organisation, dispatcher: User, manager: User
) -> None:
    Depot.objects.create(operator=operator, code="LP 1/a", location_id="LP-1", name="Venlo")

    to_bookings = Client().post("/", {"login": dispatcher.email, "password": PASSWORD})
    to_board = Client().post("/", {"login": "Manager@Ladepark.EXAMPLE", "password": PASSWORD})

    assert (to_bookings.status_code, to_bookings["Location"]) == (302, "/")
    assert to_board["Location"] == "/depots/LP%201%2Fa/board/"


def test_a_wrong_password_is_said_on_the_page_and_names_no_account(client: Client, dispatcher: User) -> None:
    wrong = client.post("/", {"login": dispatcher.email, "password": "no"})
    unknown = client.post("/", {"login": "nobody@ladepark.example", "password": "no"})

    assert (wrong.status_code, unknown.status_code) == (422, 422)
    assert "do not belong together" in wrong.content.decode()
    assert "do not belong together" in unknown.content.decode()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"login": "a\x00b", "password": "x"},
        {"login": "x" * 5000, "password": "x"},
        {"login": "a@b", "password": "\x00"},
    ],
)
def test_nonsense_is_answered_with_the_page(client: Client, given: dict[str, str]) -> None:
    assert client.post("/", given).status_code == 422


def test_signing_in_needs_the_forms_token(dispatcher: User) -> None:
    answer = Client(enforce_csrf_checks=True).post("/", {"login": dispatcher.email, "password": PASSWORD})

    assert answer.status_code == 403
    assert "out of date" in answer.content.decode()


def test_too_many_wrong_passwords_pause_that_address_with_a_page(
    client: Client, dispatcher: User, manager: User
) -> None:
    answers = [
        client.post("/", {"login": dispatcher.email.upper(), "password": "no"}).status_code for _ in range(10)
    ]
    locked = client.post("/", {"login": dispatcher.email, "password": PASSWORD})
    other = Client().post("/", {"login": manager.email, "password": PASSWORD})

    assert answers == [422] * 9 + [429]
    assert locked.status_code == 429
    assert "Too many wrong passwords" in locked.content.decode()
    assert SESSION_KEY not in client.session
    assert other.status_code == 302


def test_signing_in_goes_on_to_our_page_and_to_nobody_elses(dispatcher: User) -> None:
    def next_of(to: str) -> str:
        return Client().post("/", {"login": dispatcher.email, "password": PASSWORD, "next": to})["Location"]

    assert next_of("/slots/?depot=LP-1") == "/slots/?depot=LP-1"
    assert next_of("https://elsewhere.example/") == "/"
    assert next_of("//elsewhere.example/") == "/"
    assert next_of("javascript:alert(1)") == "/"


def test_signing_out_is_a_post_and_ends_the_session(client: Client, dispatcher: User) -> None:
    _sign_in(client, dispatcher.email)

    assert client.get("/account/sign-out/").status_code == 405
    client.post("/account/sign-out/")
    assert SESSION_KEY not in client.session


def test_a_part_asked_for_after_the_session_ended_sends_the_whole_page_to_sign_in(client: Client) -> None:
    answer = client.get("/?next=/bookings/", headers={"HX-Request": "true"})

    assert answer["HX-Redirect"] == "/?next=/bookings/"


def test_a_changed_password_signs_the_other_devices_out(dispatcher: User) -> None:
    here, there = Client(), Client()
    _sign_in(here, dispatcher.email)
    _sign_in(there, dispatcher.email)

    answer = here.post(
        "/account/password/",
        {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD},
    )

    assert answer.status_code == 302
    assert here.get("/account/password/").status_code == 200
    assert there.get("/account/password/").status_code == 302


def test_a_weak_or_unrepeated_password_is_refused_by_name_of_the_field(
    client: Client, dispatcher: User
) -> None:
    _sign_in(client, dispatcher.email)

    answer = client.post(
        "/account/password/", {"old_password": "no", "new_password1": "short", "new_password2": "other"}
    )

    assert answer.status_code == 422
    page = answer.content.decode()
    assert 'id="id_old_password_error"' in page
    assert 'id="id_new_password2_error"' in page
    assert 'aria-describedby="id_old_password_error"' in page


def test_a_one_time_link_sets_the_password_once(client: Client, operator: Organisation) -> None:
    user = User.objects.create_user("new@ladepark.example")
    link = set_password_url(user)
    given = {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}

    assert client.get(link).status_code == 200
    first = client.post(link, given)
    second = Client().post(link, given)

    assert first.status_code == 302
    assert SESSION_KEY in client.session
    assert second.status_code == 410
    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)


def test_a_one_time_link_runs_out(client: Client) -> None:
    link = set_password_url(User.objects.create_user("new@ladepark.example"))

    with time_machine.travel(timezone.now() + timedelta(days=3, minutes=1)):
        assert client.get(link).status_code == 410


@pytest.mark.parametrize("path", ["MQ/nonsense", "x" * 300 + "/a-b", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5/a-b"])
def test_a_link_made_up_is_answered_with_the_page(client: Client, path: str) -> None:
    answer = client.get(f"/account/password/{path}/")

    assert answer.status_code == 410
    assert "no longer good" in answer.content.decode()


def test_links_of_the_shell_follow_the_role(operator: Organisation, dispatcher: User, manager: User) -> None:
    Depot.objects.create(operator=operator, code="LP-1", location_id="LP-1", name="Venlo")
    pages = {}
    for user in (dispatcher, manager, _member(operator, "viewer@ladepark.example", Membership.Role.VIEWER)):
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        pages[user.email.partition("@")[0]] = client.get("/account/password/").content.decode()

    shown = {
        who: [
            url
            for url in ("/bookings/", "/slots/", "/vehicles/", "/depots/LP-1/board/", "/requests/")
            if f'"{url}"' in page
        ]
        for who, page in pages.items()
    }
    assert shown == {
        "dispatcher": ["/bookings/", "/slots/", "/vehicles/"],
        "manager": ["/depots/LP-1/board/", "/requests/"],
        "viewer": ["/bookings/", "/vehicles/", "/depots/LP-1/board/"],
    }


def test_every_status_and_enforcement_has_a_word_and_an_icon() -> None:
    from bookings.models import BookingStatus
    from bookings.models.enforcement_words import WORDS

    icons = (Path(__file__).parents[2] / "frontend/icons.txt").read_text().split()

    assert set(STATUS) == set(BookingStatus.values)
    assert {look.icon for look in [*STATUS.values(), *WORDS.values()]} <= set(icons)
