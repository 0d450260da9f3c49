from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper

from depots.cards import card_ending, without_cards
from depots.file_addresses import without_secrets
from depots.models.sites import Depot

LARGEST_EVSE_NUMBER = 2**15 - 1  # that its column holds; what chargers tell is compared before it goes there


class Charger(models.Model):
    """A charging station that speaks OCPP. `told` is what it says it can do, `measured` what it was seen to do.

    The password is kept as salted HMAC-SHA-256 under the server's key (a machine secret with its own entropy).
    The process that holds the socket leases the charger; `lease_until` in the future means online.
    """

    depot = models.ForeignKey(Depot, models.CASCADE, related_name="chargers")
    identity = models.CharField(max_length=48)
    protocol = models.CharField(max_length=10, default="ocpp1.6")
    password_salt = models.CharField(max_length=32, blank=True)
    password_hash = models.CharField(max_length=64, blank=True)
    password_at = models.DateTimeField(null=True, blank=True, help_text="when Berth last replaced it")
    replaced_password_salt = models.CharField(max_length=32, blank=True)
    replaced_password_hash = models.CharField(
        max_length=64, blank=True, help_text="what Berth replaced: a file that names it is older than that"
    )
    next_password = models.TextField(
        blank=True, help_text="encrypted, until the charger has come with it; opens beside the one before"
    )
    next_password_salt = models.CharField(max_length=32, blank=True)
    next_password_hash = models.CharField(max_length=64, blank=True)
    security_profile = models.PositiveSmallIntegerField(
        default=1,
        help_text="the least it must come with: 0 nothing, 1 password, 2 password over TLS, 3 client certificate",
    )
    next_security_profile = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="what it was told to come with from now on; counts once it has, until then the one before opens",
    )
    replaced_security_profile = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="what Berth raised it from: a file that names it is older than that"
    )
    is_withdrawn = models.BooleanField(
        default=False, help_text="taken away; nobody comes in under its name, its history stands"
    )
    cabinet = models.CharField(
        max_length=40, blank=True, help_text="chargers of one name share a power cabinet"
    )
    cabinet_limit_w = models.BigIntegerField(null=True, blank=True)

    vendor = models.CharField(max_length=50, blank=True)
    model = models.CharField(max_length=50, blank=True)
    serial_number = models.CharField(max_length=50, blank=True)
    firmware_version = models.CharField(max_length=50, blank=True)
    told = models.JSONField(default=dict, blank=True)
    measured = models.JSONField(default=dict, blank=True)

    lease_holder = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    spoken_protocol = models.CharField(max_length=10, blank=True)
    connected_at = models.DateTimeField(null=True, blank=True)
    booted_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    clock_offset_s = models.FloatField(
        null=True, blank=True, help_text="its clock minus ours at the last live message"
    )
    clock_seen_at = models.DateTimeField(null=True, blank=True, help_text="when that was")
    deviations = models.JSONField(
        default=list, blank=True, help_text="what it sends that OCPP does not have, the newest first"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(Upper("identity"), name="charger_identity_once"),
            models.CheckConstraint(
                name="cabinet_limit_positive",
                condition=Q(cabinet_limit_w__isnull=True) | Q(cabinet_limit_w__gt=0),
            ),
            models.CheckConstraint(
                name="security_profile_known",
                condition=Q(security_profile__in=[1, 2, 3]) | Q(security_profile=0, protocol="ocpp1.6"),
            ),
        ]

    def __str__(self) -> str:
        return self.identity

    @property
    def speaks_1_6(self) -> bool:
        """What it spoke last, else what it is registered with."""
        return (self.spoken_protocol or self.protocol) == "ocpp1.6"

    def told_setting(self, *names: str) -> str:
        """The first of these settings that it told of when it was asked what it can do: keys of 1.6, Component.Variable of
        2.x. Empty where it told of none."""
        told = {**(self.told.get("configuration") or {}), **(self.told.get("variables") or {})}
        return next((str(told[name]) for name in names if told.get(name) is not None), "")


class Evse(models.Model):
    """A place that charges one vehicle at a time, with its bay. Lengths in cm, weight in kg, power in watts.

    A mirrored EVSE of a partner has no charger; its bay is what the partner told.
    """

    class Status(models.TextChoices):
        AVAILABLE = "available", "Available"
        OCCUPIED = "occupied", "Occupied"
        CHARGING = "charging", "Charging"
        RESERVED = "reserved", "Reserved"
        UNAVAILABLE = "unavailable", "Unavailable"
        FAULTED = "faulted", "Faulted"
        UNKNOWN = "unknown", "Unknown"

    depot = models.ForeignKey(Depot, models.CASCADE, related_name="evses", db_index=False)
    charger = models.ForeignKey(
        Charger, models.CASCADE, related_name="evses", null=True, blank=True, db_index=False
    )
    uid = models.CharField(max_length=64)
    number = models.PositiveSmallIntegerField(default=1, help_text="connectorId in OCPP 1.6, EVSE id in 2.x")
    max_power_w = models.BigIntegerField()
    vehicle_types = ArrayField(
        models.CharField(max_length=30), default=list, blank=True, help_text="none means all"
    )
    max_vehicle_length_cm = models.PositiveIntegerField(null=True, blank=True)
    max_vehicle_width_cm = models.PositiveIntegerField(null=True, blank=True)
    max_vehicle_height_cm = models.PositiveIntegerField(null=True, blank=True)
    max_vehicle_weight_kg = models.PositiveIntegerField(null=True, blank=True)
    drive_through = models.BooleanField(default=False)
    dangerous_goods_allowed = models.BooleanField(default=False)
    refrigeration_outlet = models.BooleanField(default=False)
    takes_trailers = models.BooleanField(null=True, blank=True, help_text="null is not known")
    inlet_sides = ArrayField(
        models.CharField(max_length=5), default=list, blank=True,
        help_text="where its cable reaches a vehicle's inlet, of depots.standards.SIDES; none is not known",
    )  # fmt: skip
    public_id = models.CharField(
        max_length=48, blank=True, help_text="its EVSE ID in all networks: DE*ABC*E123"
    )
    planned_statuses = models.JSONField(
        null=True,
        blank=True,
        help_text='what it will be, as a partner told: [{"starts_at", "ends_at" or null, "status"}]',
    )
    floor_level = models.CharField(max_length=4, blank=True)
    physical_reference = models.CharField(max_length=16, blank=True, help_text="what is written on it")
    parking_restrictions = ArrayField(models.CharField(max_length=30), default=list, blank=True)
    bay_position = models.CharField(max_length=6, blank=True, help_text="LEFT, RIGHT or CENTER of the bay")
    bay_direction = models.CharField(max_length=13, blank=True, help_text="PARALLEL, PERPENDICULAR or ANGLE")
    bay_length_cm = models.PositiveIntegerField(null=True, blank=True)
    bay_width_cm = models.PositiveIntegerField(null=True, blank=True)
    is_roofed = models.BooleanField(default=False)
    is_lit = models.BooleanField(default=False)

    status = models.CharField(max_length=12, choices=Status, default=Status.UNKNOWN)
    status_at = models.DateTimeField(null=True, blank=True, help_text="the charger's own time of the status")
    status_received_at = models.DateTimeField(null=True, blank=True)
    told_status = models.CharField(
        max_length=12,
        choices=Status,
        blank=True,
        help_text="as the charger told it last; `status` also follows from its sessions",
    )
    error_code = models.CharField(max_length=50, blank=True)
    kept_for = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="the reservation for which we keep it out of service or without power",
    )
    is_withdrawn = models.BooleanField(
        default=False, help_text="taken away; without a charger, its history stands"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint("depot", Upper("uid"), name="evse_uid_once_in_depot"),
            models.UniqueConstraint(
                Upper("uid"), name="own_evse_uid_once", condition=Q(charger__isnull=False)
            ),
            models.UniqueConstraint(fields=["charger", "number"], name="evse_number_once"),
            models.CheckConstraint(name="evse_power_positive", condition=Q(max_power_w__gt=0)),
        ]

    def __str__(self) -> str:
        return self.uid

    @property
    def plugs(self) -> set[str]:
        """The standards of its connectors."""
        return {connector.standard for connector in self.connectors.all()}

    @property
    def is_kept(self) -> bool:
        """Out of service by our own word, for a truck that is to come: not broken."""
        return self.kept_for is not None and self.status == self.Status.UNAVAILABLE

    @property
    def is_out_of_order(self) -> bool:
        return self.status in {self.Status.FAULTED, self.Status.UNAVAILABLE} and not self.is_kept

    @property
    def shows_vehicle(self) -> bool:
        """Whether the charger's own last word is that a vehicle is plugged in."""
        return self.told_status in {self.Status.OCCUPIED, self.Status.CHARGING}


class Connector(models.Model):
    """A plug of an EVSE; one of them is used at a time. Names of standards and formats are OCPI's."""

    class Format(models.TextChoices):
        CABLE = "CABLE", "Cable"
        SOCKET = "SOCKET", "Socket"

    evse = models.ForeignKey(Evse, models.CASCADE, related_name="connectors", db_index=False)
    number = models.PositiveSmallIntegerField(default=1)
    standard = models.CharField(max_length=30, default="IEC_62196_T2_COMBO")
    format = models.CharField(max_length=10, choices=Format, default=Format.CABLE)
    power_type = models.CharField(max_length=20, default="DC")
    max_voltage_v = models.PositiveIntegerField(default=1000)
    max_amperage_a = models.PositiveIntegerField(default=500)
    max_power_w = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["evse_id", "number"]
        constraints = [models.UniqueConstraint(fields=["evse", "number"], name="connector_number_once")]

    def __str__(self) -> str:
        return f"{self.evse}/{self.number}"


class ChargerCommand(models.Model):
    """Something a charger is to do, in our words; the gateway that holds its socket carries it out in order.

    Payload of `reserve`: {"reservation_id": int, "evse": number, "token": str, "token_type": str, "group": str,
    "expires_at": "…Z"}; of `cancel_reservation`: {"reservation_id": int}; of `remote_start`: {"evse": number,
    "token": str, "token_type": str, "reservation_id": int}; of `remote_stop`: {"transaction": str}; of `unlock`: {"evse":
    number}; of `reset`: {"hard": bool, "evse": number|null}; of `trigger`: {"message": str, "evse": number|null}; of
    `availability`: {"operative": bool, "evse": number|null}; of `get_configuration`: {"keys": [str…]}; of
    `ask_capabilities` and `clear_cache`: {}.
    Of `set_charging_profile`: {"profile_id": int, "evse": number, "purpose": "tx"|"tx_default", "transaction": str (of
    "tx"), "stack_level": int, "unit": "W"|"A", "phases": 1…3 and "volts" of a phase (of "A"), "kind":
    "relative"|"absolute", "starts_at": "…Z" (of "absolute"), "valid_to": "…Z"|null, "limits": [[seconds, watts]…]}; of
    `clear_charging_profile`: {"profile_id": int}; of `get_composite_schedule`: {"evse": number, "unit": "W"|"A",
    "duration_s": int}. A profile replaces the one of the same id.
    Of `send_local_list`: {"version": int, "full": bool, "put": [entries of LocalList…], "remove": [{"uid", "type"}…]}.
    Of `read_settings`: {"keys": [str…]}; of `change_settings`: {"settings":
    {key: value}}, a single one in 1.6; of `ask_inventory`: {"request": int}; of `get_diagnostics`: {"request": int,
    "location": url, "is_security": bool, "since": "…Z"|null}; of `update_firmware`: {"request": int, "location": url,
    "retrieve_at": "…Z", "install_at": "…Z"|null, "certificate": str, "signature": str}.
    Of `certificate_signed`: {"chain": PEM, "request": int|null, "for": "v2g"|"v2g20" of those shown to vehicles};
    of `install_certificate`, a root of the CSMS: {"certificate": PEM}; of `delete_certificate`:
    {"hash": OCPP's certificateHashData}; of `renew_certificate` and `installed_certificates`: {}.
    Of `set_password`: {"encrypted": str}, empty once the charger has come with it; of `set_security_profile`: {"profile":
    2|3, "slot": int, "url": "wss://…", "interface": "wired"|"wireless"}, of which 1.6 is told the profile alone; of
    `set_network_priority`: {"slots": [int…]}, the first to be tried first (2.x).
    `progress` is what a charger told later of something that takes its time, in its own word.
    `UNCLEAR` is a lost answer: it may have happened.
    """

    class Action(models.TextChoices):
        RESERVE = "reserve", "Reserve"
        CANCEL_RESERVATION = "cancel_reservation", "Cancel reservation"
        REMOTE_START = "remote_start", "Start remotely"
        REMOTE_STOP = "remote_stop", "Stop remotely"
        ASK_CAPABILITIES = "ask_capabilities", "Ask capabilities"
        UNLOCK = "unlock", "Unlock the plug"
        RESET = "reset", "Restart"
        TRIGGER = "trigger", "Ask for a message"
        AVAILABILITY = "availability", "Set in or out of service"
        CLEAR_CACHE = "clear_cache", "Clear its cache of cards"
        GET_CONFIGURATION = "get_configuration", "Read settings"
        SET_CHARGING_PROFILE = "set_charging_profile", "Limit the power"
        CLEAR_CHARGING_PROFILE = "clear_charging_profile", "Lift a limit of power"
        GET_COMPOSITE_SCHEDULE = "get_composite_schedule", "Ask for the limit in force"
        SEND_LOCAL_LIST = "send_local_list", "Tell whom to let in without a connection"
        READ_SETTINGS = "read_settings", "Compare settings"
        CHANGE_SETTINGS = "change_settings", "Change settings"
        ASK_INVENTORY = "ask_inventory", "Read all it has"
        GET_DIAGNOSTICS = "get_diagnostics", "Send its log"
        UPDATE_FIRMWARE = "update_firmware", "Update its firmware"
        SET_PASSWORD = "set_password", "Change its password"
        SET_SECURITY_PROFILE = "set_security_profile", "Raise its security profile"
        SET_NETWORK_PRIORITY = "set_network_priority", "Connect by the new profile first"
        CERTIFICATE_SIGNED = "certificate_signed", "Send its certificate"
        RENEW_CERTIFICATE = "renew_certificate", "Have it ask for a certificate"
        INSTALLED_CERTIFICATES = "installed_certificates", "List its certificates"
        INSTALL_CERTIFICATE = "install_certificate", "Install a root"
        DELETE_CERTIFICATE = "delete_certificate", "Delete a certificate"

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENT = "sent", "Sent"
        ANSWERED = "answered", "Answered"
        UNCLEAR = "unclear", "Unclear"
        STALE = "stale", "Stale"

    charger = models.ForeignKey(Charger, models.CASCADE, related_name="commands")
    action = models.CharField(max_length=30, choices=Action)
    reservation_id = models.BigIntegerField(null=True, blank=True, help_text="the booking it concerns")
    payload = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    answer = models.CharField(
        max_length=40,
        blank=True,
        help_text="the status in small letters; not_supported or error where it sent none",
    )
    answer_text = models.TextField(blank=True)
    asked_by = models.CharField(
        max_length=150, blank=True, db_default="", help_text="who, where a person asked"
    )
    progress = models.CharField(max_length=40, blank=True, db_default="")
    progress_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    not_before = models.DateTimeField(
        null=True, blank=True, help_text="kept back until then; others go first"
    )
    not_after = models.DateTimeField(
        null=True, blank=True, help_text="stale when it could not be sent by then"
    )
    sent_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["charger", "id"], name="command_waiting", condition=Q(state__in=["queued", "sent"])
            ),
            models.Index(fields=["reservation_id", "id"], name="command_of_booking"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.state} for {self.charger_id}"

    @property
    def shown_payload(self) -> dict[str, Any]:
        """The payload with the endings of its card and group, and without what is secret of an address."""
        return {
            name: card_ending(value)
            if name in {"token", "group"} and value
            else without_secrets(value)
            if name == "location"
            else value
            for name, value in self.payload.items()
            if name != "encrypted"
        }

    @property
    def shown_answer_text(self) -> str:
        """What the charger told, with the endings of the cards in it."""
        text = without_cards(self.answer_text)
        for name in ("token", "group"):
            if uid := str(self.payload.get(name) or ""):
                text = text.replace(uid, card_ending(uid))
        return text


class ChargerMessage(models.Model):
    """A frame as it came or went, kept for a while: who disputes a booking wants to see it."""

    charger = models.ForeignKey(Charger, models.CASCADE, related_name="messages", db_index=False)
    at = models.DateTimeField()
    is_incoming = models.BooleanField()
    action = models.CharField(max_length=60, blank=True)
    frame = models.TextField()

    class Meta:
        indexes = [
            models.Index(fields=["charger", "-at"], name="charger_messages"),
            models.Index(fields=["at"], name="charger_message_age"),
        ]

    def __str__(self) -> str:
        return f"{self.action} at {self.at}"

    @property
    def shown_frame(self) -> str:
        """The frame with the endings of the cards in it: not every card that is held to a charger is its depot's."""
        return without_cards(self.frame, is_free=self.action == "DataTransfer")
