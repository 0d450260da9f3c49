from __future__ import annotations

from django.db import models
from django.db.models import Func, Q
from django.db.models.lookups import LessThan

# PostgreSQL cuts the name of a channel at 63 bytes, and NOTIFY refuses a payload of 8,000.
LONGEST_CHANNEL, TOO_LONG_PAYLOAD = 63, 8000


class Notice(models.Model):
    """What is to be notified once the transaction that wrote it has committed (depots.notices).

    What NOTIFY would refuse is refused where it is written: later it would hold up all that stands behind it. The table
    is UNLOGGED: a crash of the database empties it, and ends every connection that was listening as well.
    """

    channel = models.CharField(max_length=LONGEST_CHANNEL)
    payload = models.TextField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="notice_can_be_notified",
                condition=Q(
                    ~Q(channel=""),
                    LessThan(
                        Func("payload", function="octet_length", output_field=models.IntegerField()),
                        TOO_LONG_PAYLOAD,
                    ),
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {self.payload}"
