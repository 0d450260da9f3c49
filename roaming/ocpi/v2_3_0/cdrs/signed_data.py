"""What a session's meter has signed, as OCPI's SignedData. Pure functions, without queries.

The samples are OCPP's, kept as they came: 1.6 has the signed text in place of the value, 2.x beside it, with its encoding and
key. What OCPI has no room for is left out here; it stays with the session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from roaming.ocpi.v2_3_0.cdrs import schemas

NATURE = {"Transaction.Begin": "Start", "Transaction.End": "End"}
# An encoding that begins with its own name; OCPP 1.6 tells none.
OCMF, UNKNOWN = "OCMF", "unknown"


class _Signed(NamedTuple):
    encoding: str
    public_key: str
    value: schemas.SignedValue


def signed_data_out(samples: Iterable[Mapping[str, Any]]) -> schemas.SignedData | None:
    """None where nothing was signed, or nothing that fits. All of it has one encoding and key: those of the first."""
    signed = [found for sample in samples if (found := _read(sample)) is not None]
    if not signed:
        return None
    encoding, public_key, _ = signed[0]
    alike = [each.value for each in signed if (each.encoding, each.public_key) == (encoding, public_key)]
    return schemas.SignedData(encoding_method=encoding, public_key=public_key or None, signed_values=alike)


def _read(sample: Mapping[str, Any]) -> _Signed | None:
    beside = sample.get("signedMeterValue") or {}
    text = str(beside.get("signedMeterData") or sample.get("value") or "")
    told = str(beside.get("encodingMethod") or (OCMF if text.startswith(f"{OCMF}|") else UNKNOWN))
    plain = str(sample.get("value", "")) if beside else _plain(text)
    public_key = str(beside.get("publicKey") or "")
    if not text or len(text) > schemas.LONGEST_SIGNED or len(told) > 36 or len(public_key) > 512:
        return None
    nature = NATURE.get(str(sample.get("context") or ""), "Intermediate")
    value = schemas.SignedValue(nature=nature, plain_data=plain[: schemas.LONGEST_PLAIN], signed_data=text)
    return _Signed(told, public_key, value)


def _plain(text: str) -> str:
    """The readable part of OCMF, `OCMF|{…}|{…}`; nothing of other encodings."""
    parts = text.split("|")
    return parts[1] if parts[0] == OCMF and len(parts) > 2 else ""
