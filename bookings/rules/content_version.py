"""A version for what keeps none: a number that follows from what was shown, whoever wrote it and how."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model
from django.forms.models import model_to_dict


def version_of(shown: Any) -> int:
    """Of a row all its columns, of anything else what can be written as JSON; positive, for the form field `version`."""
    told = model_to_dict(shown) if isinstance(shown, Model) else shown
    text = json.dumps(told, cls=DjangoJSONEncoder, sort_keys=True)
    return int.from_bytes(sha256(text.encode()).digest()[:6]) + 1
