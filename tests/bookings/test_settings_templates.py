"""An operator's templates of charger settings, from a form and from a file."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from bookings.imports.settings_templates import import_settings_templates
from bookings.rules.content_version import version_of
from depots.imports.documents import FileRefusedError
from depots.models import Membership, SettingsTemplate
from tests.bookings.people import client_of
from tests.factories import make_depot, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def depot():
    return make_depot()


@pytest.fixture
def manager(depot) -> Client:
    return client_of(make_user(depot.operator, Membership.Role.DEPOT_MANAGER))


def test_a_template_is_written_a_setting_a_line_and_kept_once(depot, manager):
    add = reverse("bookings:settings_template_add", args=[depot.operator.pk])
    lines = "HeartbeatInterval = 120\n\n MinimumStatusDuration =\n"
    given = {"protocol": "1.6", "vendor": "Volt", "settings": lines, "applies_itself": "on"}

    assert manager.post(add, given).status_code == 302

    template = SettingsTemplate.objects.get()
    assert template.settings == {"HeartbeatInterval": "120", "MinimumStatusDuration": None}
    again = manager.post(add, given)
    assert again.status_code == 422
    assert "already" in again.content.decode()

    page = reverse("bookings:settings_template", args=[template.pk])
    assert "MinimumStatusDuration =" in manager.get(page).content.decode()
    version = version_of(template)
    assert manager.post(page, {**given, "settings": "", "version": version}).status_code == 302
    assert manager.post(page, {**given, "version": version}).status_code == 409
    template.refresh_from_db()
    assert template.settings == {}


@pytest.mark.parametrize(
    ("protocol", "lines", "says"),
    [
        ("1.6", "HeartbeatInterval", "equals sign"),
        ("1.6", "A = 1\na = 2", "twice"),
        ("1.6", "AuthorizationKey = 0123", "password"),
        ("2.x", "HeartbeatInterval = 1", "Component.Variable"),
        ("1.6", "A = " + "x" * 501, "too long"),
    ],
)
def test_what_cannot_be_a_setting_is_said_and_not_kept(depot, manager, protocol, lines, says):
    add = reverse("bookings:settings_template_add", args=[depot.operator.pk])

    answer = manager.post(add, {"protocol": protocol, "settings": lines})

    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert not SettingsTemplate.objects.exists()


def test_a_file_of_templates_is_taken_whole_or_not_at_all(depot, tmp_path):
    file = tmp_path / "settings.json"
    rows = [
        {"protocol": "1.6", "settings": {"HeartbeatInterval": "120"}},
        {"protocol": "2.x", "applies_itself": False},
    ]

    def outcomes() -> list[str]:
        file.write_text(json.dumps({"templates": rows}))
        return [each.outcome for each in import_settings_templates(file, operator=depot.operator)]

    assert outcomes() == ["created", "created"]
    rows[0]["settings"] = {"HeartbeatInterval": None}
    assert outcomes() == ["updated", "unchanged"]
    rows[0]["settings"] = {"BasicAuthPassword": "x"}
    with pytest.raises(FileRefusedError, match="password"):
        outcomes()
    assert SettingsTemplate.objects.get(protocol="1.6").settings == {"HeartbeatInterval": None}
