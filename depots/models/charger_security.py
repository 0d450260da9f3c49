"""What is known of who tries to connect as a charger, and of the certificates chargers come with."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Upper

from depots.models.chargers import Charger, ChargerCommand
from depots.models.organisations import Organisation


class RefusedConnection(models.Model):
    """Connections that were refused before the upgrade, one row an identity, whether there is such a charger or not.

    The hash of the last password that was tried lets a charger be taken in with the credentials it already has.
    """

    class Reason(models.TextChoices):
        UNKNOWN = "unknown", "There is no charger of this identity."
        WRONG_PASSWORD = "wrong_password", "It came with a wrong password, or with none."
        NO_TLS = "no_tls", "Its security profile asks for TLS, and it came without."
        NO_CERTIFICATE = (
            "no_certificate",
            "Its security profile asks for a client certificate, and it came without.",
        )
        OTHER_NAME = "other_name", "The name in its client certificate is not its identity."
        REVOKED = "revoked", "Its client certificate was revoked."
        REPLACED = (
            "replaced",
            "Its client certificate was replaced by a newer one, which it has used already.",
        )
        EXPIRED = "expired", "Its client certificate has expired."
        NOT_16 = "not_16", "Security profile 0 is for OCPP 1.6 alone, and it offered another version first."
        TOO_OFTEN = "too_often", "It connected again and again within a minute."

    identity = models.CharField(max_length=48)
    address = models.CharField(max_length=45)
    protocols = models.CharField(max_length=100, blank=True, help_text="sub-protocols it offered, by comma")
    reason = models.CharField(max_length=20, choices=Reason)
    password_salt = models.CharField(max_length=32, blank=True)
    password_hash = models.CharField(max_length=64, blank=True)
    tries = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(Upper("identity"), name="refused_identity_once")]
        indexes = [models.Index(fields=["last_at"], name="refused_age")]

    def __str__(self) -> str:
        return f"{self.identity}: {self.reason}"


class FailedHandshake(models.Model):
    """TLS handshakes that failed, one row an address: before its end nothing says which charger it is."""

    address = models.CharField(max_length=45, unique=True)
    reason = models.CharField(max_length=100, help_text="in OpenSSL's words, of the last")
    tries = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.address}: {self.reason}"


class ExpectedCharger(models.Model):
    """An identity an operator waits for: its refused connections are that operator's to see, unless another waits too."""

    operator = models.ForeignKey(
        Organisation, models.CASCADE, related_name="expected_chargers", db_index=False
    )
    identity = models.CharField(max_length=48)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("operator", Upper("identity"), name="expected_once")]

    def __str__(self) -> str:
        return self.identity


class ChargerCertificate(models.Model):
    """A client certificate of a charger: issued by Berth's own authority, or seen when the charger came with it.

    The newest that a charger has come with is current, older ones are replaced from then on.
    """

    class State(models.TextChoices):
        ISSUED = "issued", "Issued, not used yet"
        CURRENT = "current", "In use"
        REPLACED = "replaced", "Replaced"
        REVOKED = "revoked", "Revoked"

    charger = models.ForeignKey(Charger, models.CASCADE, related_name="certificates")
    issuer = models.CharField(max_length=64, help_text="SHA-256 of the issuer's name, in hex")
    issuer_name = models.CharField(max_length=255)
    serial_number = models.CharField(max_length=40, help_text="in hex")
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State)
    issued_at = models.DateTimeField(
        null=True, blank=True, help_text="by Berth's own authority; none of others"
    )
    first_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["issuer", "serial_number"], name="certificate_once"),
        ]
        indexes = [
            models.Index(
                fields=["not_after"],
                name="certificate_expiring",
                condition=models.Q(state="current", issued_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.serial_number} of {self.charger_id}: {self.state}"


class SecurityRaise(models.Model):
    """A charger on its way to a higher security profile, step after step over OCPP; one a charger, the last.

    `network` of 2.x: {"interface": "wired"|"wireless", "before": [slots in use], "free": [slots to be tried], "slot": the
    one that took the new profile}.
    """

    class Step(models.TextChoices):
        ROOT = "root", "The root by which it trusts Berth"
        CERTIFICATE = "certificate", "A certificate of its own"
        SLOTS = "slots", "Which of its network profiles are in use"
        PROFILE = "profile", "The new profile"
        PRIORITY = "priority", "Which network profile comes first"
        RESTART = "restart", "A restart, once nobody is there"
        COMING = "coming", "It comes with the new profile"

    charger = models.OneToOneField(Charger, models.CASCADE, related_name="security_raise")
    profile = models.PositiveSmallIntegerField(help_text="2 or 3")
    step = models.CharField(max_length=12, choices=Step, default=Step.ROOT)
    command = models.ForeignKey(
        ChargerCommand, models.SET_NULL, null=True, blank=True, related_name="+", help_text="awaited"
    )
    network = models.JSONField(default=dict, blank=True)
    asked_by = models.CharField(max_length=150, blank=True)
    asked_at = models.DateTimeField()
    moved_at = models.DateTimeField(help_text="when the last step began")
    restarted_at = models.DateTimeField(null=True, blank=True)
    came_without = models.PositiveIntegerField(
        default=0, help_text="connections by the old profile since it was told all"
    )
    ended_at = models.DateTimeField(null=True, blank=True)
    why = models.TextField(blank=True, help_text="why it was broken off; empty of one that is done")

    class Meta:
        indexes = [
            models.Index(
                fields=["step"], name="security_raise_open", condition=models.Q(ended_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"{self.charger_id} to {self.profile}: {self.step}"


class CertificateAuthority(models.Model):
    """An authority of Berth's own for certificates of chargers; the newest signs, all are trusted.

    `key` is PEM, encrypted under the storage keys.
    """

    certificate = models.TextField()
    key = models.TextField()
    created_at = models.DateTimeField()
    not_after = models.DateTimeField()

    def __str__(self) -> str:
        return f"Authority {self.pk}, until {self.not_after:%Y-%m-%d}"


class SecurityEvent(models.Model):
    """What a charger reports about its security (SecurityEventNotification), in its own words: one row a kind, as told last."""

    charger = models.ForeignKey(Charger, models.CASCADE, related_name="security_events", db_index=False)
    kind = models.CharField(max_length=50)
    info = models.CharField(max_length=255, blank=True)
    at = models.DateTimeField(help_text="the charger's own time")
    received_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=1, help_text="how often it was told")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["charger", "kind"], name="security_event_kind_once")]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}"
