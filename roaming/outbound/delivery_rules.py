"""How deliveries of one partner follow one another: which kind goes first, what waits for what, how often an object is sent.

A row of one kind waits while another kind's is due that was wanted no later: what an object refers to is there before it, and
a session has ended there before it is billed. What the partner has refused holds up nothing; nor does what failed for it
HOLDS_UP_FOR times, unless it answers to nothing at all. Which object waits for which other one says earlier.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from roaming.models import Delivery

Kind = Delivery.Kind
HOLDS_UP_FOR = 3


@dataclass(frozen=True)
class DeliveryRule:
    """`pause`: so long after an object was sent its next push waits, and what changes meanwhile becomes one.

    `is_of_many`: a change writes the rows of many partners in one statement, in the order of their keys.
    """

    waits_for: tuple[Kind, ...] = ()
    pause: timedelta = timedelta()
    is_of_many: bool = False


# In the order in which they go. Asks, bookings and results of commands are waited for by somebody; a booking that charges goes
# after its session, whose writers see to it.
RULES: dict[Kind, DeliveryRule] = {
    Kind.REQUEST: DeliveryRule(),
    Kind.BOOKING: DeliveryRule(),
    Kind.COMMAND_RESULT: DeliveryRule(),
    Kind.COMMAND: DeliveryRule(),
    Kind.SESSION: DeliveryRule(pause=timedelta(seconds=10)),
    Kind.ACTIVE_PROFILE: DeliveryRule(waits_for=(Kind.SESSION,), pause=timedelta(seconds=10)),
    Kind.CDR: DeliveryRule(waits_for=(Kind.SESSION,)),
    Kind.TARIFF: DeliveryRule(is_of_many=True),
    Kind.LOCATION: DeliveryRule(waits_for=(Kind.TARIFF,), pause=timedelta(seconds=2), is_of_many=True),
    Kind.EVSE: DeliveryRule(waits_for=(Kind.LOCATION,), pause=timedelta(seconds=2), is_of_many=True),
    Kind.BOOKING_LOCATION: DeliveryRule(
        waits_for=(Kind.TARIFF, Kind.LOCATION), pause=timedelta(seconds=2), is_of_many=True
    ),
    Kind.TOKEN: DeliveryRule(is_of_many=True),
    Kind.INVOICE_RECORD: DeliveryRule(waits_for=(Kind.CDR,)),
}
AWAITED = tuple(dict.fromkeys(kind for rule in RULES.values() for kind in rule.waits_for))

# As parts of a statement over roaming_delivery, with `ready.awaited_KIND` the moment from which a kind holds up others.
RANK = "CASE kind {} END".format(" ".join(f"WHEN '{kind}' THEN {at}" for at, kind in enumerate(RULES)))
# When an object was sent last at the latest, to be sent again at %(now)s.
RESTED_AT = "CASE kind {} ELSE %(now)s END".format(
    " ".join(
        f"WHEN '{kind}' THEN %(now)s - interval '{rule.pause.total_seconds():g} s'"
        for kind, rule in RULES.items()
        if rule.pause
    )
)
HELD_UP_FROM = "CASE kind {} ELSE 'infinity' END".format(
    " ".join(
        "WHEN '{}' THEN least({})".format(kind, ", ".join(f"ready.awaited_{name}" for name in rule.waits_for))
        for kind, rule in RULES.items()
        if rule.waits_for
    )
)
AWAITED_COLUMNS = ", ".join(
    f"coalesce(min(CASE WHEN attempts = 0 THEN next_try_at ELSE '-infinity' END) FILTER (WHERE kind = '{kind}'),"
    f" 'infinity') AS awaited_{kind}"
    for kind in AWAITED
)
AWAITED_KINDS = ", ".join(f"'{kind}'" for kind in AWAITED)
