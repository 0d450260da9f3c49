"""Requests no honest client sends get an answer, and it is no 500."""

from io import BytesIO
from ipaddress import ip_network
from urllib.parse import quote

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from pytest_django import Settings

from config.requests import Utf8Request
from config.wsgi import application

# Codecs of Python's that are no text encoding, that fail, or that make surrogates.
CHARSETS = ["base64", "undefined", "idna", "punycode", "unicode_escape", "utf-7", "utf-16", "nonsense"]
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="login"\r\n\r\na\\ud800@fleet.example\r\n'
    b'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nguess\r\n--x--\r\n'
)


def request(content_type: str, body: bytes = b"") -> Utf8Request:
    """As a server hands it over, past the checks of Django's own test client."""
    return application.request_class(
        {
            "REQUEST_METHOD": "POST", "PATH_INFO": "/", "QUERY_STRING": "next=%41\\ud800", "CONTENT_TYPE": content_type,
            "CONTENT_LENGTH": str(len(body)), "wsgi.input": BytesIO(body),
        }
    )  # fmt: skip


@pytest.mark.parametrize("charset", CHARSETS)
def test_everything_is_read_as_utf_8_in_whatever_charset_it_says_it_is(charset: str) -> None:
    sent = request(f"multipart/form-data; boundary=x; charset={charset}", FORM)

    assert sent.GET["next"] == "A\\ud800"
    assert sent.POST["login"] == "a\\ud800@fleet.example"


def test_a_content_type_nobody_can_read_is_none() -> None:
    assert request("text/plain; charset*=nonsense''x").content_type == ""


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/depots/\x00/board/", "/depots/NF\x00/chargers/x/", "/account/password/\x00/x/"]
)
def test_nothing_is_named_with_a_nul(path: str, client: Client) -> None:
    assert client.get(quote(path)).status_code == 404


@pytest.mark.django_db
def test_behind_a_trusted_proxy_a_stranger_locks_out_only_himself(settings: Settings) -> None:
    settings.BERTH_TRUSTED_PROXIES = [ip_network("127.0.0.1")]
    get_user_model().objects.create_user(email="manager@depot.example", password="correct horse battery")

    def sign_in(address: str, password: str) -> int:
        form = {"login": "manager@depot.example", "password": password}
        return Client(headers={"X-Forwarded-For": address}).post("/", form).status_code

    assert [sign_in("192.0.2.66", "a guess") for _ in range(11)][-1] == 429
    assert sign_in("192.0.2.66", "correct horse battery") == 429
    assert sign_in("198.51.100.1", "correct horse battery") == 302


@pytest.mark.django_db
def test_without_one_nobody_chooses_an_address_of_his_own(client: Client) -> None:
    form = {"login": "manager@depot.example", "password": "a guess"}
    guesses = [
        client.post("/", form, headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code
        for number in range(11)
    ]

    assert guesses[-1] == 429
