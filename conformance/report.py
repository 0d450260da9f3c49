"""What a run found, a finding for each line of the checklist, for people and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    FAIL = "FAIL"
    SKIP = "skip"


@dataclass(frozen=True)
class Finding:
    """`line` numbers the checklist; `reason` says what was wrong, why it was not judged, or how far it was."""

    line: int
    title: str
    verdict: Verdict
    reason: str = ""

    def __str__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.verdict:<4} {self.line:>2}  {self.title}{reason}"


@dataclass(frozen=True)
class Report:
    """`version` is the one that was agreed, empty where none was."""

    versions_url: str
    roles: tuple[str, ...]
    version: str
    findings: tuple[Finding, ...]

    def count(self, verdict: Verdict) -> int:
        return sum(1 for one in self.findings if one.verdict == verdict)

    @property
    def is_conformant(self) -> bool:
        return not self.count(Verdict.FAIL)

    def as_text(self) -> str:
        last = f"{self.count(Verdict.OK)} passed, {self.count(Verdict.FAIL)} failed"
        return "\n".join([*map(str, self.findings), last])

    def as_json(self) -> str:
        """One object on one line."""
        summary = {
            "versions_url": self.versions_url,
            "roles": list(self.roles),
            "version": self.version,
            "passed": self.count(Verdict.OK),
            "failed": self.count(Verdict.FAIL),
            "skipped": self.count(Verdict.SKIP),
        }
        return json.dumps({**summary, "checks": [asdict(one) for one in self.findings]})
