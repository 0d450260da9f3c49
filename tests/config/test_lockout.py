"""Who guesses passwords is locked out for a while; nobody else is."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.test import Client

pytestmark = pytest.mark.django_db
NAME, PASSWORD = "dispatcher@fleet.example", "correct horse battery"


@pytest.fixture(autouse=True)
def _user() -> None:
    get_user_model().objects.create_user(email=NAME, password=PASSWORD)


def sign_in(client: Client, password: str = PASSWORD, login: str = NAME) -> int:
    return client.post("/", {"login": login, "password": password}).status_code


def guess(client: Client, times: int, login: str = NAME) -> int:
    return [sign_in(client, f"guess {number}", login) for number in range(times)][-1]


def test_ten_wrong_passwords_lock_the_name_for_a_quarter_of_an_hour(client: Client) -> None:
    with time_machine.travel("2030-05-06T12:00:00Z", tick=False) as clock:
        guess(client, 10)

        assert sign_in(client) == 429
        clock.shift(timedelta(minutes=16))
        assert sign_in(client) == 302


def test_nine_wrong_passwords_are_forgiven(client: Client) -> None:
    guess(client, 9)

    assert sign_in(client) == 302


def test_guesses_at_one_name_do_not_lock_another(client: Client) -> None:
    guess(client, 12, "somebody@fleet.example")

    assert sign_in(client) == 302


def test_the_spelling_of_a_name_gives_no_new_tries(client: Client) -> None:
    guess(client, 5)
    guess(client, 5, NAME.upper())

    assert sign_in(client) == 429


def test_a_stranger_elsewhere_cannot_lock_somebody_out(client: Client) -> None:
    guess(Client(REMOTE_ADDR="203.0.113.9"), 12)

    assert sign_in(client) == 302


@pytest.mark.parametrize("login", ["", "nobody", "x" * 5000, "a\x00b", "ü@fleet.example"])
def test_no_name_however_odd_breaks_the_page(client: Client, login: str) -> None:
    assert guess(client, 11, login) < 500


@pytest.mark.parametrize("address", ["nonsense", "", "203.0.113.9:4711", "::1:zz"])
def test_what_a_proxy_says_need_not_be_an_address(client: Client, address: str) -> None:
    assert guess(Client(REMOTE_ADDR=address), 11) == 429
    assert sign_in(client) == 302


def test_spraying_many_names_from_one_address_is_slowed_for_everybody_there_and_nobody_else(
    client: Client,
) -> None:
    with time_machine.travel("2030-05-06T12:00:00Z", tick=False) as clock:
        for number in range(30):
            sign_in(client, "guess", f"somebody{number}@fleet.example")

        slowed = client.post("/", {"login": NAME, "password": PASSWORD})

        assert (slowed.status_code, slowed["Retry-After"]) == (429, "10")
        assert "Wait 10 seconds" in slowed.content.decode()
        assert sign_in(Client(REMOTE_ADDR="203.0.113.9")) == 302
        clock.shift(timedelta(seconds=10))
        assert sign_in(client) == 302


def test_a_slowed_address_has_one_try_every_ten_seconds(client: Client) -> None:
    with time_machine.travel("2030-05-06T12:00:00Z", tick=False) as clock:
        for number in range(30):
            sign_in(client, "guess", f"somebody{number}@fleet.example")
        answers = []
        for second in range(40):
            answers.append(sign_in(client, "guess", f"other{second}@fleet.example"))
            clock.shift(timedelta(seconds=1))

    assert answers.count(422) == 3


def test_addresses_of_one_ipv6_network_are_one(client: Client) -> None:
    for number in range(10):
        sign_in(Client(REMOTE_ADDR=f"2001:db8:1:2::{number:x}"), "guess")

    assert sign_in(Client(REMOTE_ADDR="2001:db8:1:2:ffff::1")) == 429
    assert sign_in(Client(REMOTE_ADDR="2001:db8:1:3::1")) == 302


def test_an_ipv4_address_in_ipv6_clothes_is_itself() -> None:
    guess(Client(REMOTE_ADDR="::ffff:203.0.113.9"), 10)

    assert sign_in(Client(REMOTE_ADDR="203.0.113.9")) == 429
    assert sign_in(Client(REMOTE_ADDR="::ffff:203.0.113.10")) == 302
