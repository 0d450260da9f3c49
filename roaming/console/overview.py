"""How partner networks get on with us: the states that the list, a partner's page and `show_partners` show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Count, F, IntegerField, Min, Q, QuerySet, Value, When

from depots.models import Depot
from depots.periods import utc_text
from roaming.console import traffic
from roaming.console.models import Deviation
from roaming.console.traffic import Health
from roaming.mirror.kept_objects import BOOKING, CDR, SESSION
from roaming.models import Delivery, Partner, PartnerObject
from roaming.switches import SWITCHES, switch

# What the list can be narrowed down to, with the words of the choice.
TROUBLES = {
    "away": "Does not answer",
    "refusing": "Answers, but refuses",
    "waiting": "Something waits",
    "odd": "Sends it otherwise than OCPI",
    "paused": "Paused",
    "unregistered": "Not registered",
}


# A partner that changes a booking which somebody has set aside tells it anew.
NOT_SET_ASIDE = Q(set_aside_at__isnull=True) | Q(last_updated__gt=F("set_aside_at"))


@dataclass(frozen=True)
class Queue:
    """What a partner has not got yet."""

    waiting: int = 0
    oldest_since: datetime | None = None

    def age_s(self, now: datetime) -> int:
        return max(0, int((now - self.oldest_since).total_seconds())) if self.oldest_since else 0


@dataclass(frozen=True)
class PartnerState:
    """`in_utc`: its depots whose times are shown in UTC, as no zone is known. `unmatched`: bookings nobody asked for;
    `unmatched_charging`: sessions and records of nobody here."""

    partner: Partner
    health: Health
    queue: Queue
    deviations: list[Deviation]
    in_utc: list[Depot]
    unmatched: int
    unmatched_charging: int

    @property
    def parties(self) -> list[str]:
        return list(dict.fromkeys(f"{r['country_code']}*{r['party_id']}" for r in self.partner.roles))

    @property
    def is_failing(self) -> bool:
        return self.partner.is_registered and self.partner.failures > 0

    @property
    def is_away(self) -> bool:
        """It does not answer."""
        return self.is_failing and not self.partner.refuses

    @property
    def is_refusing(self) -> bool:
        """It answers, with errors of its own or a no to one thing after another."""
        return self.is_failing and self.partner.refuses

    @property
    def failing_since(self) -> datetime | None:
        """When it answered with a yes last; where it never has, when it registered."""
        return (self.partner.last_success_at or self.partner.registered_at) if self.is_failing else None

    @property
    def forgiven(self) -> list[Deviation]:
        """What was taken all the same; what people are told in words first, then the most frequent."""
        return sorted(
            (d for d in self.deviations if not d.code), key=lambda d: (not d.words, -d.times, d.rule)
        )

    @property
    def refused(self) -> list[Deviation]:
        """What we refused, the most frequent first."""
        return sorted((d for d in self.deviations if d.code), key=lambda d: (-d.times, d.code, d.rule))

    @property
    def in_words(self) -> list[Deviation]:
        return [deviation for deviation in self.forgiven if deviation.words]


def all_partners() -> QuerySet[Partner]:
    """Those in trouble first, each group by name."""
    trouble = Case(
        When(state=Partner.State.REGISTERED, failures__gt=0, then=Value(0)),
        When(paused_at__isnull=False, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    return Partner.objects.select_related("organisation").order_by(trouble, "organisation__name", "pk")


def narrowed(rows: QuerySet[Partner], *, words: str = "", trouble: str = "") -> QuerySet[Partner]:
    """Partners whose name or party has these words, and this trouble (a key of TROUBLES)."""
    if words:
        party = words.replace("-", "*").upper()
        country, _, party_id = party.partition("*")
        named = Q(organisation__name__icontains=words) | Q(version=words)
        roles = {"country_code": country, "party_id": party_id} if party_id else {"party_id": party}
        rows = rows.filter(named | Q(roles__contains=[roles]))
    waiting = Delivery.objects.filter(next_try_at__isnull=False)
    narrowing = {
        "away": Q(state=Partner.State.REGISTERED, failures__gt=0, refuses=False),
        "refusing": Q(state=Partner.State.REGISTERED, failures__gt=0, refuses=True),
        "waiting": Q(pk__in=waiting.values("partner")),
        "odd": Q(pk__in=Deviation.objects.values("partner")),
        "paused": Q(paused_at__isnull=False),
        "unregistered": ~Q(state=Partner.State.REGISTERED),
    }
    return rows.filter(narrowing[trouble]) if trouble in narrowing else rows


def states(partners: Sequence[Partner], *, now: datetime) -> list[PartnerState]:
    """In the same order; five queries, however many there are."""
    ids = [partner.pk for partner in partners]
    healths, queues, unmatched = traffic.healths(ids, now=now), queues_of(ids, now=now), _unmatched(ids)
    deviations = _grouped(Deviation.objects.filter(partner__in=ids).defer("example"), "partner_id")
    in_utc = _grouped(
        Depot.objects.filter(
            operator__in=[partner.organisation_id for partner in partners],
            is_mirror=True,
            is_withdrawn=False,
            time_zone="UTC",
        ).order_by("name"),
        "operator_id",
    )
    return [
        PartnerState(
            partner,
            healths.get(partner.pk, Health()),
            queues.get(partner.pk, Queue()),
            deviations.get(partner.pk, []),
            in_utc.get(partner.organisation_id, []),
            unmatched.get((partner.pk, BOOKING), 0),
            sum(unmatched.get((partner.pk, kind), 0) for kind in (SESSION, CDR)),
        )
        for partner in partners
    ]


def queues_of(partner_ids: Iterable[int] | None = None, *, now: datetime) -> dict[int, Queue]:
    """By partner, of those that lack something; of all partners where none are named. An ask whose time is to come, of a partner
    without Bookings, is not waited for yet. One query."""
    put_off = Q(kind=Delivery.Kind.REQUEST, attempts=0, next_try_at__gt=now)
    rows = Delivery.objects.filter(~put_off, next_try_at__isnull=False)
    rows = rows if partner_ids is None else rows.filter(partner__in=list(partner_ids))
    sums = rows.order_by().values_list("partner").annotate(Count("pk"), Min("waiting_since"))
    return {partner_id: Queue(waiting, oldest) for partner_id, waiting, oldest in sums}


def describe_partner(state: PartnerState) -> dict[str, Any]:
    """The object that `show_partners` prints a line of."""
    partner = state.partner
    return {
        "partner": str(partner),
        "state": partner.state,
        "parties": state.parties,
        "version": partner.version or None,
        "last_success_at": _text(partner.last_success_at),
        "failures": partner.failures,
        "refuses": state.is_refusing,
        "away_since": _text(state.failing_since),
        "paused_at": _text(partner.paused_at),
        "waiting": state.queue.waiting,
        "oldest_waiting_since": _text(state.queue.oldest_since),
        "health": {
            name: {"calls": fared.calls, "percent_ok": fared.percent_ok, "mean_ms": fared.mean_ms}
            for name, fared in vars(state.health).items()
        },
        "deviations": {deviation.rule: deviation.times for deviation in state.forgiven},
        "refusals": [
            {"code": deviation.code, "field": deviation.rule, "times": deviation.times}
            for deviation in state.refused
        ],
        "switches": {name: switch(partner, name) for name in SWITCHES if name in partner.switches},
        "depots_in_utc": [depot.code for depot in state.in_utc],
        "unmatched_bookings": state.unmatched,
        "unmatched_charging": state.unmatched_charging,
    }


def _unmatched(partner_ids: list[int]) -> dict[tuple[int, str], int]:
    """By partner and kind."""
    rows = PartnerObject.objects.filter(NOT_SET_ASIDE, partner__in=partner_ids, is_unmatched=True)
    counted = rows.order_by().values_list("partner", "kind").annotate(Count("pk"))
    return {(partner, kind): number for partner, kind, number in counted}


def _grouped(rows: Iterable[Any], key: str) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(getattr(row, key), []).append(row)
    return found


def _text(moment: datetime | None) -> str | None:
    return utc_text(moment) if moment else None
