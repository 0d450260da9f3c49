"""Commands of 2.2.1: those of 2.3.0."""

from __future__ import annotations

from roaming.ocpi.v2_3_0.commands.dialect import write_result

__all__ = ["write_result"]
