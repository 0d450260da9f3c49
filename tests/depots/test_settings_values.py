"""When a charger's setting is as it should be, whatever way it is spelled."""

import pytest

from depots.commissioning.defaults import DEFAULTS, REGISTER, Wanted
from depots.commissioning.templates import wanted_of
from depots.commissioning.values import is_as_wanted, is_same
from depots.models import SettingsTemplate
from tests.factories import make_charger, make_depot


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("false", "False"), ("false", "0"), ("true", " TRUE "), ("true", "1"), ("false", "no"),
        ("60", "60.0"), ("60", "060"), ("60", "60 s"), ("60", "1min"), ("30", "30000 ms"),
        ("EVConnected,Authorized", "authorized, EVConnected"), ("A,B", "B;A"), ("A,B", '["B","A"]'.replace('"', "")),
    ],
)  # fmt: skip
def test_the_same_value_in_another_spelling_is_no_difference(wanted, told):
    assert is_same(wanted, told)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [("false", "true"), ("false", ""), ("true", "maybe"), ("60", "6"), ("60", "60 h"), ("60", "often"),
     ("A,B", "A"), ("A", "A,B"), ("0", "false")],
)  # fmt: skip
def test_another_value_is_a_difference(wanted, told):
    assert not is_same(wanted, told)


def test_more_measurands_than_are_wanted_and_values_as_good_are_no_difference():
    samples = Wanted("MeterValuesSampledData", f"{REGISTER},SoC", "", at_least=True)
    start = Wanted("TxCtrlr.TxStartPoint", "PowerPathClosed", "", also=("Authorized",))

    assert is_as_wanted(samples, f"Voltage,{REGISTER},SoC")
    assert not is_as_wanted(samples, REGISTER)
    assert is_as_wanted(start, "Authorized")
    assert not is_as_wanted(start, "ParkingBayOccupancy")


def test_every_default_says_why_and_stands_once():
    for wanted in DEFAULTS.values():
        assert all(each.why.endswith(".") for each in wanted)
        assert len({each.key.casefold() for each in wanted}) == len(wanted)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("protocol", "key"), [("ocpp1.6", "LocalAuthListEnabled"), ("ocpp2.0.1", "LocalAuthListCtrlr.Enabled")]
)
def test_a_charger_has_its_list_switched_on_where_its_depot_wants_one(protocol, key):
    without = make_charger(spoken_protocol=protocol)
    charger = make_charger(make_depot(fallbacks=["local_list"]), spoken_protocol=protocol)

    assert key not in {each.key for each in wanted_of(without).wanted}
    assert [each.value for each in wanted_of(charger).wanted if each.key == key] == ["true"]


def test_a_master_group_is_to_be_empty():
    (master,) = [each for each in DEFAULTS["2.x"] if each.key == "AuthCtrlr.MasterPassGroupId"]

    assert is_as_wanted(master, "")
    assert not is_as_wanted(master, "MASTERS")


@pytest.mark.django_db
def test_the_closest_template_has_the_last_word():
    charger = make_charger()
    charger.vendor, charger.model, charger.firmware_version = "Volt AG", "DC-400", "2.1.7"
    operator = charger.depot.operator

    def template(settings, *, applies_itself=True, **fields):
        SettingsTemplate.objects.create(
            operator=operator, protocol="1.6", settings=settings, applies_itself=applies_itself, **fields
        )

    template({"HeartbeatInterval": "300", "ConnectionTimeOut": "90"})
    template({"heartbeatinterval": "120", "BrightnessLevel": "80"}, vendor="volt")
    template({"MinimumStatusDuration": None}, vendor="Volt AG", firmware="2.", applies_itself=False)
    template({"HeartbeatInterval": "1"}, vendor="Ampere")

    plan = wanted_of(charger)

    values = {each.key.casefold(): each.value for each in plan.wanted}
    assert (values["heartbeatinterval"], values["connectiontimeout"]) == ("120", "90")
    assert values["brightnesslevel"] == "80"
    assert "minimumstatusduration" not in values
    assert plan.applies_itself is False
