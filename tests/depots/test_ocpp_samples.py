"""What a meter tells is certain by the tables, or it is set aside and flagged: a bill is made of it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from ocpp.v16 import enums as e16
from ocpp.v21 import enums as e21

from depots.ocpp import sampled_values
from depots.ocpp.normalise import normalise
from depots.ocpp.times import read_time
from depots.operations.transaction_reports import FLAGS

NOW = datetime(2030, 1, 15, 8, 0, tzinfo=UTC)
AT = "2030-01-15T08:00:00Z"
POWER = "Power.Active.Import"


def read(*sampled, version: str = "1.6", timestamp: str | None = AT) -> sampled_values.Sampled:
    """As the gateway reads it: normalised first."""
    action, number = ("MeterValues", {"connectorId": 1} if version == "1.6" else {"evseId": 1})
    told = {"timestamp": timestamp, "sampledValue": list(sampled)}
    message, _ = normalise(version, action, {**number, "meterValue": [told]})
    return sampled_values.read(
        message.get("meterValue") or [],
        lambda text: read_time(text, zone=ZoneInfo("Europe/Berlin"), arrived_at=NOW),
    )


def figures(*sampled, **how) -> tuple:
    """(Wh, W, percent) of the one reading, None where nothing was read."""
    readings, _ = read(*sampled, **how)
    assert len(readings) <= 1
    return (readings[0].energy_wh, readings[0].power_w, readings[0].soc_percent) if readings else (None,) * 3


@pytest.mark.parametrize(
    ("told", "wh"),
    [
        ({"value": "1000"}, 1000),
        ({"value": " 1000.4 "}, 1000),
        ({"value": "12.5", "unit": "kWh"}, 12_500),
        ({"value": "12.5", "unit": "KWH"}, 12_500),
        ({"value": "1.25e4"}, 12_500),
        ({"value": 1000}, 1000),
        ({"value": "1000", "measurand": "energy.active.import.register"}, 1000),
        ({"value": "1000", "format": "Raw", "context": "Sample.Clock"}, 1000),
        ({"value": "1000", "context": "Yesterday"}, 1000),
        ({"value": "0"}, 0),
    ],
)
def test_a_register_whose_meaning_is_certain_counts(told, wh):
    assert figures(told) == (wh, None, None)


@pytest.mark.parametrize(
    "told",
    [
        {"value": ""},
        {"value": "nan"},
        {"value": "inf"},
        {"value": "1,5"},
        {"value": "1 000"},
        {"value": "1_000"},
        {"value": "0x10"},
        {"value": "1e999"},
        {"value": "9" * 5000},
        {"value": "٣"},
        {"value": "12 kWh"},
        {"value": True},
        {"value": None},
        {},
        {"value": "-5"},
        {"value": str(2**63)},
        {"value": "1000", "unit": "W"},
        {"value": "1000", "unit": "kW"},
        {"value": "1000", "unit": "varh"},
        {"value": "1000", "unit": "Bananas"},
        {"value": "1000", "unit": ""},
        {"value": "1000", "measurand": "Energy.Wanted"},
        {"value": "1000", "measurand": ""},
        {"value": "1000", "measurand": "Energy.Active.Import.Interval"},
        {"value": "1000", "measurand": "Energy.Active.Export.Register"},
        {"value": "1000", "phase": "N"},
        {"value": "1000", "phase": "L1-L2"},
        {"value": "1000", "location": "Moon"},
        {"value": "a1b2", "format": "SignedData"},
        {"value": "1000", "format": "Roman"},
    ],
)
def test_one_whose_meaning_is_not_is_no_register(told):
    assert figures(told)[0] is None


@pytest.mark.parametrize(
    ("told", "wh"),
    [
        ({"value": 12.5, "unitOfMeasure": {"unit": "kWh"}}, 12_500),
        ({"value": 12.5, "unitOfMeasure": {"unit": "kwh "}}, 12_500),
        ({"value": 12.5, "unitOfMeasure": {"multiplier": 3}}, 12_500),
        ({"value": "12.5", "unitOfMeasure": {"multiplier": "3"}}, 12_500),
        ({"value": 125, "unitOfMeasure": {"unit": "kWh", "multiplier": -1}}, 12_500),
        ({"value": 1e22}, None),
        ({"value": 1, "unitOfMeasure": {"multiplier": 99}}, None),
        ({"value": 1, "unitOfMeasure": {"multiplier": "many"}}, None),
        ({"value": 1, "unitOfMeasure": {"unit": "MWh"}}, None),
        ({"value": 1, "unitOfMeasure": "kWh"}, None),
        ({"value": 1, "unit": "kWh"}, None),  # the unit of another version's schema: it is not 1 Wh
        ({"value": 1, "multiplier": 3}, None),
        ({"value": 1, "unit": "Wh", "format": "Raw", "multiplier": 0, "colour": "red"}, 1),
        ({"value": 1, "format": "SignedData"}, None),
        ({"value": 300_000, "measurand": "EnergyRequest.Target"}, None),
        ({"value": 300_000, "measurand": "Energy.Active.Import.LocalGeneration.Register"}, None),
    ],
)
@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_units_and_multipliers_of_2x(version, told, wh):
    assert figures(told, version=version)[0] == wh


@pytest.mark.parametrize(
    ("told", "power_w", "soc"),
    [
        ({"value": "50", "measurand": POWER, "unit": "kW"}, 50_000, None),
        ({"value": "50", "measurand": POWER}, 50, None),
        ({"value": "50", "measurand": POWER, "unit": "kWh"}, None, None),
        ({"value": "50", "measurand": POWER, "unit": "VA"}, None, None),
        ({"value": "-50", "measurand": POWER}, None, None),
        ({"value": "1e12", "measurand": POWER}, None, None),
        ({"value": "50", "measurand": "Power.Offered"}, None, None),
        ({"value": "55.5", "measurand": "SoC", "location": "EV"}, None, 55.5),
        ({"value": "55.5", "measurand": "SOC", "unit": "Percent"}, None, 55.5),
        ({"value": "255", "measurand": "SoC"}, None, None),
        ({"value": "-1", "measurand": "SoC"}, None, None),
        ({"value": "0.5", "measurand": "SoC", "unit": "Celsius"}, None, None),
    ],
)
def test_power_and_state_of_charge(told, power_w, soc):
    assert figures(told) == (None, power_w, soc)


def test_what_is_set_aside_is_flagged_and_the_rest_counts():
    told = read({"value": "1,5"}, {"value": "-7"}, {"value": "50", "measurand": POWER}, {"value": "2000"})

    assert [r.energy_wh for r in told.readings] == [2000]
    assert told.flags == ["set_aside", "bad_meter"]
    assert set(told.flags) <= set(FLAGS)


@pytest.mark.parametrize(
    ("places", "counts"),
    [
        (["Outlet"], "Outlet"),
        ([None, "Inlet"], None),
        (["Inlet", "Outlet"], "Outlet"),
        (["Inlet", "Body"], "Body"),
        (["Body", "EV"], "EV"),
        (["Inlet"], "Inlet"),
        (["Body"], "Body"),
        (["Upstream"], "nowhere"),
    ],
)
@pytest.mark.parametrize("measurand", [None, POWER])
def test_of_several_places_the_nearest_to_the_vehicle_counts(places, counts, measurand):
    values = {place: 1000 * (number + 1) for number, place in enumerate(places)}
    told = [
        {
            "value": value,
            **({"location": place} if place else {}),
            **({"measurand": measurand} if measurand else {}),
        }
        for place, value in values.items()
    ]

    wh, power_w, _ = figures(*told, version="2.1")

    assert (power_w if measurand else wh) == values.get(counts)


def test_all_registers_of_a_message_are_told_apart():
    [reading], _ = read({"value": "5", "location": "Inlet"}, {"value": "7"})

    assert dict(reading.registers) == {"Outlet": 7, "Inlet": 5}


@pytest.mark.parametrize(
    ("told", "wh"),
    [
        ([("L1", 10), ("L2", 20), ("L3", 30)], 60),
        ([("L1", 10), ("L2", 20), ("", 29)], 29),
        ([("L1", 10), ("L2", 20), ("L3", 30), ("L1-N", 10), ("L2-N", 20), ("L3-N", 30)], 60),
        ([("L1-N", 10), ("L2-N", 20)], 30),
        ([("L1", 10), ("N", 5)], 10),
        ([("L1", 10), ("L1", 10)], 10),
    ],
)
def test_phases_add_up_where_no_total_is_told(told, wh):
    sampled = [{"value": str(value), **({"phase": phase} if phase else {})} for phase, value in told]

    assert figures(*sampled)[0] == wh


def test_two_totals_that_differ_are_two_meters_and_neither_counts():
    assert figures({"value": "12.3", "unit": "kWh"}, {"value": "12345"})[0] == 12_300
    assert read({"value": "5000"}, {"value": "900000"}) == ([], ["set_aside"])


def test_the_samples_of_the_begin_are_a_reading_of_their_own():
    told = read(
        {"value": "8000", "context": "Transaction.Begin"}, {"value": "9000", "context": "Transaction.End"}
    )

    assert [(r.energy_wh, r.is_begin) for r in told.readings] == [(8000, True), (9000, False)]
    assert told.readings[0].at != told.readings[1].at


@pytest.mark.parametrize("sampled", [[], [{"value": "7", "measurand": "Voltage"}], ["1000"], [None]])
def test_what_tells_nothing_is_no_reading(sampled):
    assert read(*sampled).readings == []


@pytest.mark.parametrize(
    ("timestamp", "at", "flags", "is_arrival"),
    [
        (AT, NOW, [], False),
        (None, NOW, ["no_time"], True),
        ("1970-01-01T00:00:00Z", NOW, ["bad_clock"], True),
        ("2030-01-15T08:00:00", NOW, ["no_zone"], False),
        ("15.01.2030 09:00", NOW, ["bad_clock"], True),
    ],
)
def test_times_of_samples_are_read_like_any_other(timestamp, at, flags, is_arrival):
    told = read({"value": "1"}, timestamp=timestamp)

    assert [(r.at, r.is_arrival) for r in told.readings] == [(at, is_arrival)]
    assert told.flags == flags


def test_samples_of_one_arrival_keep_their_order():
    readings, _ = sampled_values.read(
        [{"sampledValue": [{"value": str(n)}]} for n in (1, 2, 3)],
        lambda text: read_time(text, zone=ZoneInfo("UTC"), arrived_at=NOW),
    )

    assert [r.energy_wh for r in sorted(readings, key=lambda r: r.at)] == [1, 2, 3]
    assert len({r.at for r in readings}) == 3
    assert readings[-1].at < NOW + timedelta(seconds=1)


def test_the_tables_name_what_the_protocol_has():
    places = {place.value for enum in (e16.Location, e21.LocationEnumType) for place in enum}
    assert places - set(sampled_values.NEAREST_FIRST) == {"Upstream"}
    assert set(sampled_values.UNITS) <= {m.value for m in e16.Measurand} & {
        m.value for m in e21.MeasurandEnumType
    }
    assert set().union(*sampled_values.PHASES) < {phase.value for phase in e16.Phase}
    assert sampled_values.BEGIN in {context.value for context in e16.ReadingContext}
