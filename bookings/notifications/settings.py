"""What a person has chosen to hear, and in which language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction

from bookings.models import NotificationChoice, Reader
from bookings.notifications.kinds import Kind, kinds_for
from bookings.notifications.recipients import by_default
from bookings.notifications.wording import DEFAULT
from depots.models import Membership, User

# Kind → (inbox, mail).
Choices = Mapping[str, tuple[bool, bool]]


@dataclass(frozen=True)
class Setting:
    kind: Kind
    inbox: bool
    mail: bool


def settings_of(user: User) -> list[Setting]:
    """Of each kind that a person may hear of by their roles, in the table's order."""
    roles = _roles(user)
    chosen = {row.kind: (row.inbox, row.mail) for row in NotificationChoice.objects.filter(user=user)}
    return [
        Setting(kind, *chosen.get(kind.name, by_default(kind, roles))) for kind in kinds_for(roles) if roles
    ]


def language_of(user: User) -> str:
    found = Reader.objects.filter(user=user).values_list("language", flat=True).first()
    return found or DEFAULT


def choose(*, user: User, choices: Choices, language: str) -> None:
    """Keep what differs from the table; what is as it says follows it also when it changes."""
    roles = _roles(user)
    rows = [
        NotificationChoice(user=user, kind=kind.name, inbox=choices[kind.name][0], mail=choices[kind.name][1])
        for kind in kinds_for(roles)
        if kind.name in choices and choices[kind.name] != by_default(kind, roles)
    ]
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        NotificationChoice.objects.filter(user=user, kind__in=choices).delete()
        NotificationChoice.objects.bulk_create(rows)
        Reader.objects.update_or_create(user=user, defaults={"language": language})


def _roles(user: User) -> set[str]:
    return set(Membership.objects.filter(user=user).values_list("role", flat=True))
