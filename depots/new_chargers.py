"""Chargers that were refused, and who may know of them.

Several operators share an installation: of a name that somebody tries only they may hear who wait for it.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Upper

from depots.models import Charger, Depot, ExpectedCharger, Organisation, RefusedConnection


def runs_whole_installation(operator_ids: Collection[int]) -> bool:
    """Are these all the depot operators there are?"""
    ours = Depot.objects.filter(is_mirror=False)
    return not ours.exclude(operator__in=operator_ids).exists()


def refused_connections_of(operator: Organisation, *, sees_all: bool) -> QuerySet[RefusedConnection]:
    """Those that the operator can let in, the last first: of chargers it has without a password, and of names that nobody has
    and that it, and nobody else, waits for. With `sees_all` of every name that nobody has."""
    connections = RefusedConnection.objects.annotate(name=Upper("identity"))
    same = Q(name=OuterRef("name"))
    chargers = Charger.objects.annotate(name=Upper("identity")).filter(same)
    awaiting = chargers.filter(depot__operator=operator).filter(Q(password_hash="") | Q(is_withdrawn=True))
    expected = ExpectedCharger.objects.annotate(name=Upper("identity")).filter(same)
    nobodys = Q(~Exists(chargers))
    if not sees_all:
        nobodys &= Exists(expected.filter(operator=operator)) & Q(
            ~Exists(expected.exclude(operator=operator))
        )
    return connections.filter(Exists(awaiting) | nobodys).order_by("-last_at", "-pk")
