"""What a PATCH does to an object we hold: pure functions, on any object."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roaming.ocpi.client_owned import Inside, merged, read_patch
from roaming.ocpi.shapes import PLAIN
from roaming.ocpi.wire_object import UnreadableError

# A busy machine makes examples slowly.
LOADED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
EVSES = Inside("evses", "uid", within=Inside("connectors", "id"))
SCALARS = st.one_of(st.integers(), st.text(max_size=5), st.booleans())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "c", "name", "status"]), VALUES)
PLUGS = st.lists(
    st.fixed_dictionaries({"id": st.sampled_from(["1", "2"]), "volt": st.integers(1, 9)}),
    unique_by=lambda plug: plug["id"],
)
EVSE = st.fixed_dictionaries(
    {"uid": st.sampled_from(["e1", "E1", "e2", "e3"])}, optional={"status": SCALARS, "connectors": PLUGS}
)
LOCATIONS = st.fixed_dictionaries(
    {}, optional={"name": SCALARS, "evses": st.lists(EVSE, unique_by=lambda evse: evse["uid"].upper())}
)


@LOADED
@given(OBJECTS, OBJECTS)
def test_a_patch_changes_what_it_mentions_and_nothing_else(
    held: dict[str, Any], patch: dict[str, Any]
) -> None:
    """Checklist 26: scalars and lists are the patch's; what it leaves out stays."""
    result = merged(held, patch, None)

    assert result.keys() == held.keys() | patch.keys()
    for name, value in result.items():
        if name not in patch:
            assert value == held[name]
        elif not (isinstance(patch[name], dict) and isinstance(held.get(name), dict)):
            assert value == patch[name]


@LOADED
@given(LOCATIONS, LOCATIONS)
def test_the_same_patch_twice_does_the_same_as_once(held: dict[str, Any], patch: dict[str, Any]) -> None:
    """Checklist 26: what is sent again after a lost answer."""
    once = merged(held, patch, EVSES)

    assert merged(once, patch, EVSES) == once


@LOADED
@given(LOCATIONS, LOCATIONS)
def test_objects_with_names_are_neither_lost_nor_doubled(held: dict[str, Any], patch: dict[str, Any]) -> None:
    """Checklist 26: whatever the case of their names."""
    result = merged(held, patch, EVSES).get("evses", [])

    named = [evse["uid"].upper() for evse in result]
    told = [evse["uid"].upper() for each in (held, patch) for evse in each.get("evses", [])]
    assert len(named) == len(set(named))
    assert set(named) == set(told)


def test_what_is_added_to_grows_and_everything_else_is_replaced() -> None:
    """Checklist 89: charging periods of a session."""
    held, patch = {"charging_periods": [1], "tokens": [1]}, {"charging_periods": [2, 3], "tokens": [2]}
    grows = frozenset({"charging_periods"})

    result = merged(held, patch, None, grows)

    assert result == {"charging_periods": [1, 2, 3], "tokens": [2]}
    assert merged(result, patch, None, grows) == result, "it is sent again after a lost answer"
    assert merged(result, {"charging_periods": [3, 4]}, None, grows)["charging_periods"] == [1, 2, 3, 4]
    assert merged(result, {"charging_periods": [2]}, None, grows) == result, (
        "again, and others came meanwhile"
    )


@pytest.mark.parametrize(
    ("body", "field"), [({"a": 1}, "last_updated"), ({"last_updated": "soon"}, "last_updated"), ([], "")]
)
def test_a_patch_says_when_it_was_made(body: Any, field: str) -> None:
    """Checklist 26."""
    with pytest.raises(UnreadableError) as refusal:
        read_patch(PLAIN, body)

    assert refusal.value.field == field
