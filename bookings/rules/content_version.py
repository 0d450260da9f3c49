"""A version for what keeps none: a number that follows from what was shown; and what a form sent of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model
from django.forms.models import model_to_dict

from bookings.errors import ChangedMeanwhile

NAME = "version"
LARGEST = 2**63 - 1
UNSEEN = "This page is out of date. Load it again and look before you go on."


def version_of(shown: Any) -> int:
    """Of a row all its columns, of anything else what can be written as JSON; positive, for the form field `version`."""
    told = model_to_dict(shown) if isinstance(shown, Model) else shown
    text = json.dumps(told, cls=DjangoJSONEncoder, sort_keys=True)
    return int.from_bytes(sha256(text.encode()).digest()[:6]) + 1


def seen_version(given: Mapping[str, Any]) -> int:
    """The hidden field `version` of a form, a drag or a button, for the `seen_version` of its operation.

    Raises ChangedMeanwhile where there is none: an old page says nothing of what it showed.
    """
    text = str(given.get(NAME) or "")
    if not (text.isascii() and text.isdigit() and 0 < int(text[:20]) <= LARGEST):
        raise ChangedMeanwhile(UNSEEN)
    return int(text[:20])


def look_again(refusal: ChangedMeanwhile) -> str:
    """For a button, which has no fields that could show what is different."""
    return str(refusal) if str(refusal) == UNSEEN else f"{refusal} Look again before you go on."
