"""Who does something to a booking: a value with a kind, kept with every event, ask, decision and closure.

Of people only colleagues are told the name; others are told for whom they act, which the kind says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import models


class ActorKind(models.TextChoices):
    DISPATCHER = "dispatcher", "Dispatcher of the fleet"
    MANAGER = "manager", "Manager of the depot"
    PERSON = "person", "Person, of which side is not known"  # rows from before kinds were kept
    PARTNER = "partner", "Partner network"
    CHARGER = "charger", "Charger"
    COMMAND = "command", "Operator command"
    BERTH = "berth", "Berth itself"


PEOPLE = frozenset({ActorKind.DISPATCHER, ActorKind.MANAGER, ActorKind.PERSON})


@dataclass(frozen=True)
class Actor:
    """`name` is a person's e-mail address, a partner's party (`DE*ABC`), a charger's identity, or what part of Berth."""

    kind: ActorKind
    name: str

    @classmethod
    def dispatcher(cls, email: str) -> Actor:
        return cls(ActorKind.DISPATCHER, email)

    @classmethod
    def manager(cls, email: str) -> Actor:
        return cls(ActorKind.MANAGER, email)

    @classmethod
    def partner(cls, country_code: str, party_id: str) -> Actor:
        return cls(ActorKind.PARTNER, f"{country_code.upper()}*{party_id.upper()}")

    @classmethod
    def charger(cls, identity: object) -> Actor:
        return cls(ActorKind.CHARGER, str(identity))

    def __str__(self) -> str:
        """As commands print it."""
        is_named_by_kind = self.kind in {ActorKind.PARTNER, ActorKind.CHARGER}
        return f"{self.kind} {self.name}".strip() if is_named_by_kind else self.name

    @property
    def is_person(self) -> bool:
        return self.kind in PEOPLE

    def columns(self, name: str) -> dict[str, Any]:
        """For a row that keeps it in `<name>_kind` and `<name>_name`."""
        return {f"{name}_kind": self.kind, f"{name}_name": self.name[:120]}


SCHEDULER = Actor(ActorKind.BERTH, "scheduler")
ENFORCEMENT = Actor(ActorKind.BERTH, "enforcement")
ASSIGNMENT = Actor(ActorKind.BERTH, "assignment")
TELEMATICS = Actor(ActorKind.BERTH, "telematics")
RULE = Actor(ActorKind.BERTH, "rule")
COMMAND = Actor(ActorKind.COMMAND, "operator command")
