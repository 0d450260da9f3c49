"""Partner networks: who they are, what they told us, and what they have got from us."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper

from bookings.models import Booking
from depots.models import ChargingSession, Organisation
from roaming.commands.models import ReceivedCommand
from roaming.console.models import Deviation, PartnerComparison, PartnerEvent, PartnerTraffic
from roaming.hubs.models import HubClient

__all__ = [
    "Delivery",
    "Deviation",
    "GuestSession",
    "HubClient",
    "Partner",
    "PartnerComparison",
    "PartnerEvent",
    "PartnerMessage",
    "PartnerObject",
    "PartnerPull",
    "PartnerToken",
    "PartnerTraffic",
    "ReceivedCommand",
]


# Kinds of deliveries whose objects are over at some time (roaming/outbound/forgetting.py).
ENDING_KINDS = ("booking", "cdr", "command", "command_result", "invoice_record", "session")
# The two names of the Bookings module, folded; a partner may have agreed on another.
BOOKINGS = {"booking", "bookings"}


class Partner(models.Model):
    """A network reached over OCPI. `roles` are those of its credentials: [{"role","country_code","party_id","name"}].

    `endpoints` are those of the agreed version: [{"identifier","role","url"}]. `switches` hold its quirks (keys in
    roaming.switches).
    """

    class State(models.TextChoices):
        INVITED = "invited", "Invited"
        REGISTERED = "registered", "Registered"
        SUSPENDED = "suspended", "Suspended"
        GONE = "gone", "Unregistered"

    organisation = models.OneToOneField(Organisation, models.PROTECT, related_name="partner")
    state = models.CharField(max_length=10, choices=State, default=State.INVITED)
    expected_roles = models.JSONField(
        default=list, help_text='what it was invited as: ["EMSP"], ["CPO"] or both'
    )
    roles = models.JSONField(default=list)
    versions_url = models.URLField(max_length=255, blank=True)
    version = models.CharField(max_length=10, blank=True)
    endpoints = models.JSONField(default=list)
    outbound_token_encrypted = models.TextField(blank=True, help_text="what we send")
    switches = models.JSONField(default=dict, blank=True)
    notes = models.TextField(blank=True, help_text="what people know of how it keeps to OCPI")
    registered_at = models.DateTimeField(null=True, blank=True)
    next_resync_at = models.DateTimeField(
        null=True, blank=True, help_text="when all is told and read again, every night"
    )
    next_rotation_at = models.DateTimeField(
        null=True, blank=True, help_text="when we change both tokens, every month, or try that again"
    )
    failures = models.PositiveIntegerField(default=0, help_text="in a row; the circuit opens with them")
    refuses = models.BooleanField(
        default=False,
        db_default=False,
        help_text="of the failures in a row the last was an answer, but no yes",
    )
    closed_until = models.DateTimeField(
        null=True, blank=True, help_text="the circuit is open: nothing but a probe until then"
    )
    last_success_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True, help_text="a person wants nothing sent or read")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.organisation)

    @property
    def is_registered(self) -> bool:
        return self.state == self.State.REGISTERED

    @property
    def deviations(self) -> dict[str, int]:
        """How often it did what, by rule, of what was taken all the same. One query."""
        return dict(self.deviations_seen.filter(code=0).values_list("rule", "times"))

    @property
    def is_suspended(self) -> bool:
        return self.state == self.State.SUSPENDED

    def has_role(self, role: str) -> bool:
        return any(r["role"] == role for r in self.roles)

    def endpoint(self, identifier: str, role: str) -> str:
        """The partner's URL of a module's interface; empty when it has none. Identifiers compare folded."""
        names = {identifier.lower()}
        if names <= BOOKINGS:
            names = BOOKINGS | {self.switches.get("booking_custom_identifier", "").lower()}
        found: list[dict[str, Any]] = [e for e in self.endpoints if e["identifier"].lower() in names]
        return next((e["url"] for e in found if e["role"].upper() == role), "")


class PartnerToken(models.Model):
    """A token a partner may call us with, found by its keyed hash; encrypted, as GET credentials returns it."""

    class Kind(models.TextChoices):
        REGISTRATION = "registration", "Token A"
        CURRENT = "current", "In use"
        PENDING = "pending", "Given in a handshake under way"
        PREVIOUS = "previous", "Replaced, still valid for a moment"

    partner = models.ForeignKey(Partner, models.CASCADE, related_name="tokens")
    kind = models.CharField(max_length=12, choices=Kind)
    token_hash = models.CharField(max_length=64, unique=True)
    token_encrypted = models.TextField()
    valid_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["partner"], name="one_current_token", condition=Q(kind="current")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} token of {self.partner_id}"


class Delivery(models.Model):
    """What of one object a partner has got. Behind `wanted_version`: send it the state of now until it has it."""

    class Kind(models.TextChoices):
        BOOKING_LOCATION = "booking_location", "BookingLocation"
        BOOKING = "booking", "Booking"
        REQUEST = "request", "BookingRequest"
        TARIFF = "tariff", "Tariff"
        LOCATION = "location", "Location"
        EVSE = "evse", "EVSE"
        TOKEN = "token", "Token"
        SESSION = "session", "Session"
        CDR = "cdr", "CDR"
        INVOICE_RECORD = "invoice_record", "Invoice reconciliation record"
        COMMAND_RESULT = "command_result", "Result of a command"
        COMMAND = "command", "Command"
        ACTIVE_PROFILE = "active_profile", "ActiveChargingProfile"

    partner = models.ForeignKey(Partner, models.CASCADE, related_name="deliveries", db_index=False)
    kind = models.CharField(max_length=20, choices=Kind)
    object_id = models.BigIntegerField(
        help_text="by kind: the BookingOption, Booking, BookingRequest (our asks), Tariff, Depot, Evse, Token, "
        "GuestSession, ChargeDetailRecord, Invoice, ReceivedCommand, "
        "PartnerCommand or ChargingSession (of an active profile)"
    )
    wanted_version = models.BigIntegerField()
    delivered_version = models.BigIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True, help_text="null when nothing is to be sent")
    waiting_since = models.DateTimeField(
        null=True, blank=True, help_text="when it began to lack something; a trigger's, null with next_try_at"
    )
    leased_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    was_refused = models.BooleanField(default=False, help_text="the last answer was a no; silence is not one")
    last_error = models.CharField(max_length=300, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    delivered = models.JSONField(
        null=True, blank=True, help_text="what was sent last: its digest, and where the partner keeps it"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["partner", "kind", "object_id"], name="delivery_once")]
        indexes = [
            models.Index(fields=["next_try_at"], name="delivery_due", condition=Q(next_try_at__isnull=False)),
            models.Index(fields=["kind", "object_id"], name="delivery_of_object"),
            models.Index(
                fields=["partner", "next_try_at"],
                name="delivery_due_of_partner",
                condition=Q(next_try_at__isnull=False),
            ),
            models.Index(
                fields=["partner", "leased_until"],
                name="delivery_in_flight",
                condition=Q(leased_until__isnull=False),
            ),
            models.Index(
                fields=["delivered_at"],
                name="delivery_over",
                condition=Q(kind__in=ENDING_KINDS, next_try_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id} to {self.partner_id}"

    @property
    def may_have_arrived(self) -> bool:
        """Of an ask of ours (roaming/outbound/our_requests.py): whether the partner may have got it."""
        so_far = self.delivered or {}
        return bool(so_far.get("posts") or so_far.get("may_have_arrived"))


class ShownState(models.Model):
    """How a depot, an EVSE or a tariff of ours looked when it was last compared: who sees it is told when it looks otherwise
    (roaming/outbound/shown_changes.py). `state` names what decides how it looks, in any words."""

    kind = models.CharField(max_length=20, choices=Delivery.Kind)
    object_id = models.BigIntegerField()
    state = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "object_id"], name="shown_state_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id}: {self.state}"


class PartnerPull(models.Model):
    """How far one list of a partner's Sender has been read, and when it is read again."""

    partner = models.ForeignKey(Partner, models.CASCADE, related_name="pulls", db_index=False)
    module = models.CharField(max_length=30, help_text="a name of roaming.outbound.reader_table")
    next_at = models.DateTimeField(
        null=True, blank=True, help_text="null for a list that the partner has not"
    )
    wants_all = models.BooleanField(default=False, help_text="next time all of it, not what changed")
    leased_until = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField(
        null=True, blank=True, help_text="start of the last crawl that came to its end"
    )
    completed_at = models.DateTimeField(null=True, blank=True, help_text="of the last one without a filter")
    failures = models.PositiveIntegerField(default=0, help_text="in a row")
    last_error = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["partner", "module"], name="pull_once")]
        indexes = [models.Index(fields=["next_at"], name="pull_due", condition=Q(next_at__isnull=False))]

    def __str__(self) -> str:
        return f"{self.module} of {self.partner_id}"


class NamedTariffs(models.Model):
    """The tariffs that a partner's EVSE or offer names, by their ids there and in its order: they may be told before or after.
    `party` is whose EVSE or offer it is ("FR*CPO")."""

    partner = models.ForeignKey(Partner, models.CASCADE, related_name="named_tariffs")
    kind = models.CharField(max_length=6, help_text='"evse" or "option"')
    object_id = models.BigIntegerField()
    party = models.CharField(max_length=8, blank=True, db_default="")
    codes = ArrayField(models.CharField(max_length=64), help_text="in upper case")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "object_id"], name="named_tariffs_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id}: {', '.join(self.codes)}"


class PartnerObject(models.Model):
    """An object as a partner last sent it, unknown fields too, so that GET returns what PUT brought.

    `is_unmatched`: a booking we never asked for, kept for an operator to look at; it grants nothing.
    """

    partner = models.ForeignKey(Partner, models.CASCADE, related_name="objects_received", db_index=False)
    kind = models.CharField(max_length=20)
    country_code = models.CharField(max_length=2)
    party_id = models.CharField(max_length=5)
    key = models.CharField(max_length=64)
    raw = models.JSONField()
    last_updated = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField()
    is_unmatched = models.BooleanField(default=False)
    set_aside_at = models.DateTimeField(
        null=True, blank=True, help_text="somebody has looked at the unmatched booking"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                F("partner"),
                F("kind"),
                Upper("country_code"),
                Upper("party_id"),
                Upper("key"),
                name="partner_object_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class PartnerMessage(models.Model):
    """One request and its answer, either way, without tokens. Bounded by age and by size. Headers are "Name: value" lines."""

    class Outcome(models.TextChoices):
        OK = "ok", "Answered with a yes"
        REFUSED = "refused", "Answered with a no"
        FAILED = "failed", "Not answered, or with a fault of the server"

    partner = models.ForeignKey(
        Partner, models.CASCADE, related_name="messages", null=True, blank=True, db_index=False
    )
    at = models.DateTimeField()
    is_incoming = models.BooleanField()
    method = models.CharField(max_length=7)
    url = models.CharField(max_length=500)
    request_id = models.CharField(max_length=64, blank=True)
    correlation_id = models.CharField(max_length=64, blank=True)
    request_headers = models.TextField(blank=True, db_default="")
    request_body = models.TextField(blank=True)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    status_code = models.PositiveIntegerField(null=True, blank=True, help_text="OCPI's, of the envelope")
    outcome = models.CharField(max_length=8, choices=Outcome, db_default=Outcome.OK)
    response_headers = models.TextField(blank=True, db_default="")
    response_body = models.TextField(blank=True)
    error = models.CharField(max_length=300, blank=True)
    took_ms = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["partner", "-at"], name="partner_messages"),
            models.Index(fields=["at"], name="partner_message_age"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


class GuestSession(models.Model):
    """A session at a depot of ours that a partner's customer charges by: its partner is told of it, and of nobody else's.

    One that a reservation begins has its booking from the start, and its session once charging begins; any other has its
    session. `code` is its id towards the partner (OCPI Session.id), which stays. `version` rises with all that the partner is
    to hear, `changed_at` is when it last did. `preferences` is what its driver would like (OCPI ChargingPreferences), as the
    partner said.
    """

    code = models.CharField(max_length=36, unique=True)
    session = models.OneToOneField(ChargingSession, models.CASCADE, related_name="guest", null=True)
    reservation = models.OneToOneField(Booking, models.CASCADE, related_name="guest", null=True)
    partner = models.ForeignKey(Partner, models.CASCADE, related_name="guest_sessions", db_index=False)
    version = models.BigIntegerField(default=1)
    changed_at = models.DateTimeField()
    preferences = models.JSONField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="guest_session_of_something",
                condition=Q(session__isnull=False) | Q(reservation__isnull=False),
            )
        ]
        indexes = [models.Index(fields=["partner", "id"], name="guest_sessions_of_partner")]

    def __str__(self) -> str:
        return f"{self.code} of {self.partner_id}"
