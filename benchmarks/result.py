"""What a benchmark says of itself: a ratio, the goal it is held against, and the raw figures."""

from __future__ import annotations

import json
import operator
from dataclasses import dataclass, field
from typing import Any

_COMPARE = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True)
class Result:
    """`goal` is `<= 12` or `>= 0.5`, as docs/benchmarks.md lists them; `ratio` is None where it could not be measured."""

    bench: str
    ratio: float | None
    goal: str
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        sign, _, bound = self.goal.partition(" ")
        return self.ratio is not None and _COMPARE[sign](self.ratio, float(bound))

    def line(self) -> str:
        ratio = None if self.ratio is None else round(self.ratio, 3)
        told = {"bench": self.bench, "ratio": ratio, "goal": self.goal, "holds": self.holds}
        return json.dumps({**told, "detail": self.detail})
