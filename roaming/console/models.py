"""What is counted and noted of partners for people to see. Nothing is decided by these rows."""

from __future__ import annotations

from django.db import models

from roaming.deviation_words import IN_WORDS


class Deviation(models.Model):
    """What a partner sends otherwise than OCPI has it, counted by rule, with the newest message that did so.

    `code` is the OCPI status it was refused with, and then `rule` names the field; 0 where it was taken all the same, and
    then `rule` is the name that whoever read it gave it (`Read.deviations`). `example` is {"method", "url", "body", "answer"},
    bodies cut and without tokens.
    """

    partner = models.ForeignKey(
        "roaming.Partner", models.CASCADE, related_name="deviations_seen", db_index=False
    )
    code = models.PositiveSmallIntegerField(default=0)
    rule = models.CharField(max_length=80)
    times = models.PositiveBigIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    example = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64, blank=True, help_text="X-Request-ID of the example")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["partner", "code", "rule"], name="deviation_once")]

    def __str__(self) -> str:
        return f"{self.code or ''} {self.rule} of {self.partner_id}".strip()

    @property
    def words(self) -> str:
        """For people who do not know OCPI; empty for what only those who do need to know of."""
        return IN_WORDS.get(self.rule, "") if not self.code else ""


class PartnerTraffic(models.Model):
    """Calls of ten minutes between a partner and us, one way, summed up from the message log (roaming/console/traffic.py)."""

    partner = models.ForeignKey("roaming.Partner", models.CASCADE, related_name="traffic", db_index=False)
    starts_at = models.DateTimeField()
    is_incoming = models.BooleanField()
    calls = models.PositiveIntegerField()
    refused = models.PositiveIntegerField(help_text="answered with a no")
    failed = models.PositiveIntegerField(help_text="not answered, or with a fault of the server")
    took_ms = models.PositiveBigIntegerField(help_text="all together")
    slowest_ms = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["partner", "starts_at", "is_incoming"], name="traffic_once")
        ]
        indexes = [models.Index(fields=["starts_at"], name="traffic_age")]

    def __str__(self) -> str:
        return f"{self.calls} calls of {self.partner_id} from {self.starts_at}"


class PartnerEvent(models.Model):
    """What a person did about a partner: never changed, never removed but with the partner."""

    class Kind(models.TextChoices):
        PAUSED = "paused", "Paused sending"
        RESUMED = "resumed", "Resumed sending"
        TRIED = "tried", "Had what waits tried at once"
        SENT_AGAIN = "sent_again", "Had an object sent again"
        SWITCHED = "switched", "Changed switches"
        NOTED = "noted", "Changed the notes"
        SET_ASIDE = "set_aside", "Set a booking aside"
        MATCHED = "matched", "Had bookings matched again"
        SANDBOX = "sandbox", "Started the sandbox"
        CLEARED = "cleared", "Cleared the counted deviations"
        INVITED = "invited", "Gave it a token A"
        CONNECTED = "connected", "Connected to it"
        ROTATED = "rotated", "Changed the tokens"
        SUSPENDED = "suspended", "Suspended it"
        LIFTED = "lifted", "Lifted its suspension"
        LEFT = "left", "Ended its registration"
        RESYNCED = "resynced", "Had all sent and read again"
        COMPARED = "compared", "Had both sides compared"
        REPAIRED = "repaired", "Had differences repaired"

    partner = models.ForeignKey("roaming.Partner", models.CASCADE, related_name="events", db_index=False)
    at = models.DateTimeField()
    kind = models.CharField(max_length=12, choices=Kind)
    by = models.CharField(max_length=120, help_text="a person's e-mail address, or 'operator command'")
    told = models.CharField(max_length=500, blank=True, help_text="what exactly, in words")

    class Meta:
        indexes = [models.Index(fields=["partner", "-at"], name="partner_events")]

    def __str__(self) -> str:
        return f"{self.kind} by {self.by}"


class PartnerComparison(models.Model):
    """The last comparison of what a partner and we have of each other (roaming/outbound/comparison.py), and how far it is.

    `differences` are those found, as lists of the fields of `comparison.Difference`, the first thousand of `number`.
    """

    partner = models.OneToOneField(
        "roaming.Partner", models.CASCADE, primary_key=True, related_name="comparison"
    )
    asked_at = models.DateTimeField()
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True)
    number = models.PositiveIntegerField(default=0)
    differences = models.JSONField(default=list)
    repaired_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.number} differences with {self.partner_id}"
