"""What a bookable charger is set to, and how far each charger is that: templates of operators, and what was found."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from depots.models.chargers import Charger, ChargerCommand
from depots.models.organisations import Organisation


class SettingsTemplate(models.Model):
    """What an operator wants of its chargers beside, or instead of, the built-in settings (depots.commissioning.defaults).

    It is for the chargers whose vendor, model and firmware begin as it says, without regard to case; empty means all. The
    more it says, the later it is applied, so the closest fit has the last word. `settings`: {key: value}, a key as the
    protocol has it (`HeartbeatInterval`, `OCPPCommCtrlr.HeartbeatInterval`); null leaves that setting to the charger.
    """

    class Protocol(models.TextChoices):
        V16 = "1.6", "OCPP 1.6"
        V2X = "2.x", "OCPP 2.0.1 and 2.1"

    operator = models.ForeignKey(
        Organisation, models.CASCADE, related_name="settings_templates", db_index=False
    )
    protocol = models.CharField(max_length=3, choices=Protocol)
    vendor = models.CharField(max_length=50, blank=True)
    model = models.CharField(max_length=50, blank=True)
    firmware = models.CharField(max_length=50, blank=True)
    settings = models.JSONField(default=dict, blank=True)
    applies_itself = models.BooleanField(
        default=True, help_text="whether Berth sets what differs by itself, once after each boot"
    )

    class Meta:
        ordering = ["protocol", "vendor", "model", "firmware", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["operator", "protocol", "vendor", "model", "firmware"], name="settings_template_once"
            )
        ]

    def __str__(self) -> str:
        place = " ".join(part for part in (self.vendor, self.model, self.firmware) if part)
        return f"{self.get_protocol_display()}: {place or 'all chargers'}"


class SettingsCheck(models.Model):
    """How a charger's settings were found last, and the round that is under way. One a charger.

    `told`: {key: {"value": text or null, "is_readonly": bool, "status": "" or why it told none}}. `answers`, to changes
    asked for: {key: {"wanted", "answer", "text", "firmware", "at"}}. `wanted`: {key: value} as compared last. `queue` is
    what the round has still to ask. `boot` is the boot (or the first connection) that the last round followed.
    """

    class Stage(models.TextChoices):
        READING = "reading", "Reading"
        CHANGING = "changing", "Changing"
        CLEARING = "clearing", "Clearing the cache"
        CHECKING = "checking", "Reading again"
        DONE = "done", "Done"
        BROKEN_OFF = "broken_off", "Broken off"

    charger = models.OneToOneField(Charger, models.CASCADE, related_name="settings_check")
    told = models.JSONField(default=dict, blank=True)
    wanted = models.JSONField(default=dict, blank=True)
    answers = models.JSONField(default=dict, blank=True)
    drift_count = models.PositiveSmallIntegerField(default=0)
    read_at = models.DateTimeField(null=True, blank=True)
    stage = models.CharField(max_length=12, choices=Stage, default=Stage.READING)
    queue = models.JSONField(default=list, blank=True)
    does_apply = models.BooleanField(default=False, help_text="whether this round changes what differs")
    command = models.ForeignKey(
        ChargerCommand, models.SET_NULL, null=True, blank=True, related_name="+", help_text="awaited"
    )
    boot = models.DateTimeField(null=True, blank=True)
    began_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0, help_text="rounds since that boot")
    restart_wanted_at = models.DateTimeField(
        null=True, blank=True, help_text="since when a setting waits for a restart"
    )
    restarted_for = models.JSONField(
        default=dict, blank=True, help_text="the settings and firmware it was restarted for last"
    )
    inventory = models.JSONField(
        default=dict, blank=True, help_text="2.x: its device model, {Component.Variable: value}, bounded"
    )
    inventory_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["restart_wanted_at"],
                name="restart_wanted",
                condition=Q(restart_wanted_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.charger_id}: {self.drift_count} differ"


class ChargerUpload(models.Model):
    """A file that a charger was asked to send here: its address is a secret of one use. Kept for a month."""

    command = models.OneToOneField(ChargerCommand, models.CASCADE, related_name="upload")
    secret_hash = models.CharField(max_length=64, unique=True)
    open_until = models.DateTimeField()
    name = models.CharField(max_length=120, blank=True)
    size = models.PositiveIntegerField(default=0)
    content = models.BinaryField(default=b"", blank=True)
    received_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name or "not received"
