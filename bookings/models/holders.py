from __future__ import annotations

from django.db import models
from django.db.models import Func, Value


class NextHolder(Func):
    """The next id of something that occupies EVSEs. Bookings and closures share the sequence, so a holder is one thing.

    It ends at 2^31 - 1, since the id doubles as reservationId of OCPP, which is a 32 bit integer.
    """

    function = "nextval"
    output_field = models.BigIntegerField()

    def __init__(self, *_: object) -> None:
        super().__init__(Value("bookings_holder_seq"))

    def deconstruct(self) -> tuple[str, tuple[object, ...], dict[str, object]]:
        return "bookings.models.holders.NextHolder", (), {}
