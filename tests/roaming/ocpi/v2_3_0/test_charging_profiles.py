"""ChargingProfiles as partners really send them: what is clear is taken and noted, what is not is refused whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bookings.models import PartnerCommand
from conformance.specification import faults
from roaming.models import ReceivedCommand
from roaming.ocpi.v2_3_0.charging_profiles import dialect, mapping, reading, schemas
from roaming.ocpi.wire_object import UnreadableError

Result = ReceivedCommand.Result
AT = "2030-01-15T08:00:00Z"
PROFILE = {"charging_rate_unit": "W", "charging_profile_period": [{"start_period": 0, "limit": 60_000}]}
SET = {"charging_profile": PROFILE, "response_url": "https://partner.example/r/1"}
ACTIVE = {"start_date_time": AT, "charging_profile": PROFILE}


def test_every_result_of_ours_has_a_word_of_ocpi() -> None:
    for result in Result:
        told = mapping.result_out(ReceivedCommand(kind="limit", result=result)).wire()
        assert faults("ChargingProfileResult", told, "2.3.0", exact=True) == []
        assert (told["result"] == "ACCEPTED") == (result == Result.ACCEPTED)


def test_every_word_of_ocpi_is_told_in_words_of_people() -> None:
    for said in schemas.ChargingProfileResponseType:
        told = mapping.response_in(schemas.ChargingProfileResponse(result=said, timeout=30))
        assert told.is_taken == (not told.text) == (said == "ACCEPTED")
    for result in schemas.ChargingProfileResultType:
        assert mapping.result_in(schemas.ChargingProfileResult(result=result)).is_done == (
            result == "ACCEPTED"
        )


@pytest.mark.parametrize(
    ("changed", "noted"),
    [
        ({}, ()),
        ({"charging_rate_unit": "w"}, ("ChargingRateUnit.spelling",)),
        (
            {"charging_rate_unit": None, "chargingRateUnit": "W"},
            ("charging_profile.chargingRateUnit",),
        ),
        (
            {"charging_profile_period": {"start_period": 0, "limit": 60_000}},
            ("charging_profile.charging_profile_period.single",),
        ),
        (
            {"charging_profile_period": None, "charging_profile_periods": [{"startPeriod": "0", "limit": 60_000}]},
            ("charging_profile.charging_profile_periods", "charging_profile_period.startPeriod"),
        ),
    ],
)  # fmt: skip
def test_what_is_clear_is_taken_and_noted(changed: dict[str, Any], noted: tuple[str, ...]) -> None:
    read = reading.read_set({**SET, "charging_profile": {**PROFILE, **changed}})

    (period,) = read.value.charging_profile.charging_profile_period
    assert (read.value.charging_profile.charging_rate_unit, period.start_period, period.limit) == (
        "W",
        0,
        60_000,
    )
    assert set(noted) <= set(read.deviations)
    assert bool(noted) == bool(read.deviations)


@pytest.mark.parametrize(
    "profile",
    [
        {**PROFILE, "charging_rate_unit": "kW"},
        {**PROFILE, "charging_profile_period": [{"start_period": 0, "limit": 1}, {"start_period": 60}]},
        {**PROFILE, "charging_profile_period": [{"start_period": 0, "limit": -1}]},
        {**PROFILE, "duration": "long"},
        {**PROFILE, "charging_profile_period": [{"start_period": n, "limit": 1} for n in range(1025)]},
    ],
)
def test_a_profile_of_which_a_part_is_broken_is_refused_whole(profile: dict[str, Any]) -> None:
    with pytest.raises(UnreadableError):
        reading.read_set({**SET, "charging_profile": profile})
    with pytest.raises(UnreadableError):
        reading.read_active({**ACTIVE, "charging_profile": profile})
    with pytest.raises(UnreadableError):
        reading.read_active_result({"result": "ACCEPTED", "profile": {**ACTIVE, "charging_profile": profile}})


@pytest.mark.parametrize(
    ("raw", "kind", "is_done"),
    [
        ({"result": "ACCEPTED"}, "limit", True),
        ({"data": {"result": "accepted"}, "status_code": 1000}, "limit", True),
        ({"result": "UNKNOWN"}, "limit", False),
        ({"result": "UNKNOWN"}, "lift_limit", True),
        ({"result": "ACCEPTED", "profile": ACTIVE}, "show_limit", True),
        ({"result": "ACCEPTED", "active_charging_profile": ACTIVE}, "show_limit", True),
    ],
)
def test_results_are_read_by_what_they_are_of(raw: Any, kind: str, is_done: bool) -> None:
    told = dialect.read_result(raw, PartnerCommand.Kind(kind)).value

    assert told.is_done == is_done
    if kind == "show_limit":
        assert told.active is not None
        assert (told.active.starts_at, told.active.limits) == (
            datetime(2030, 1, 15, 8, tzinfo=UTC),
            [(0, 60_000)],
        )
