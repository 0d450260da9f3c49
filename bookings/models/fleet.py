from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper

from depots.cards import CardNumber, card_ending
from depots.models import Organisation
from depots.name_keys import NameKey
from depots.token_numbers import PLUGGED_IN

# A group of tokens of its fleet, as a booking names one beside tokens: whichever member comes opens it.
GROUP = "GROUP"
GROUP_SHOWN = "group "


def shown_to_others(uid: str, kind: str) -> str:
    """All of a booking's token that others than its fleet may see; a group's name is no key to anything."""
    return f"{GROUP_SHOWN}{uid}" if kind == GROUP else card_ending(uid)


def shown_again(shown: str) -> str:
    """What `shown_to_others` gave, as it was kept with an event, or a number that was kept in full."""
    return shown if shown.startswith(("…", GROUP_SHOWN)) else card_ending(shown)


class Vehicle(models.Model):
    """A truck or bus of a fleet. Lengths in cm, weight in kg, battery in Wh, power in watts; unknown is null."""

    fleet = models.ForeignKey(Organisation, models.CASCADE, related_name="vehicles", db_index=False)
    plate = models.CharField(max_length=20)
    plate_key = NameKey("plate")
    vehicle_type = models.CharField(
        max_length=30, default="SEMI_TRACTOR", help_text="an OCPI VehicleType name"
    )
    length_cm = models.PositiveIntegerField(null=True, blank=True)
    width_cm = models.PositiveIntegerField(null=True, blank=True)
    height_cm = models.PositiveIntegerField(null=True, blank=True)
    weight_kg = models.PositiveIntegerField(null=True, blank=True)
    battery_wh = models.PositiveIntegerField(null=True, blank=True)
    max_power_w = models.PositiveIntegerField(null=True, blank=True)
    charge_curve = ArrayField(
        ArrayField(models.PositiveIntegerField(), size=2), default=list, blank=True,
        help_text="(percent, watts), see bookings.rules.charge_curve; empty is not known",
    )  # fmt: skip
    connector_standards = ArrayField(
        models.CharField(max_length=30), default=list, help_text="plugs it can use"
    )
    carries_dangerous_goods = models.BooleanField(default=False)
    needs_refrigeration = models.BooleanField(default=False)
    needs_drive_through = models.BooleanField(default=False)
    inlet_side = models.CharField(
        max_length=5, blank=True, help_text="of depots.standards.SIDES; empty is not known"
    )
    model_name = models.CharField(
        max_length=80, blank=True, help_text="what it is, of bookings.rules.vehicle_library or in words"
    )
    is_retired = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["plate"]
        constraints = [
            models.UniqueConstraint(fields=["fleet", "plate_key"], name="vehicle_plate_once"),
        ]

    def __str__(self) -> str:
        return self.plate


class Trailer(models.Model):
    """What a vehicle of its fleet may pull, chosen with each booking. Lengths in cm, weight in kg; unknown is null."""

    fleet = models.ForeignKey(Organisation, models.CASCADE, related_name="trailers", db_index=False)
    plate = models.CharField(max_length=20)
    plate_key = NameKey("plate")
    adds_length_cm = models.PositiveIntegerField(
        null=True, blank=True, help_text="how much longer the combination is than the vehicle alone"
    )
    width_cm = models.PositiveIntegerField(null=True, blank=True)
    height_cm = models.PositiveIntegerField(null=True, blank=True)
    weight_kg = models.PositiveIntegerField(null=True, blank=True)
    carries_dangerous_goods = models.BooleanField(default=False)
    needs_refrigeration = models.BooleanField(default=False)
    needs_drive_through = models.BooleanField(default=False)
    is_retired = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["plate"]
        constraints = [
            models.UniqueConstraint(fields=["fleet", "plate_key"], name="trailer_plate_once"),
        ]

    def __str__(self) -> str:
        return self.plate


class OwnerCheck(models.TextChoices):
    """Whether the network that issued a token is asked each time before it charges here. A fleet's own is never asked about."""

    NEVER = "never", "Never: what the network told of it counts"
    MAY = "may", "Not needed: what the network told of it counts"
    SHOULD = "should", "Each time, as far as the network answers"
    MUST = "must", "Each time, and without an answer it does not charge"


class Token(models.Model):
    """What a driver identifies with at the charger; named by party, uid and type like an OCPI Token.

    A partner network's tokens are those of its organisation. From `country_code` to `heard_at` is theirs: the party that issued
    it, whether that is asked, the message with its time as the network told it (null: a token of a fleet here), and when it
    was told of last. `version` and `updated_at` rise with every change of ours.
    """

    class Type(models.TextChoices):
        RFID = "RFID", "RFID card"
        APP_USER = "APP_USER", "App"
        EMAID = "EMAID", "Plug & Charge contract"
        MAC = "MAC", "Vehicle address (Autocharge)"
        KEY_CODE = "KEY_CODE", "Key code"
        OTHER = "OTHER", "Other"

    fleet = models.ForeignKey(Organisation, models.CASCADE, related_name="tokens")
    vehicle = models.ForeignKey(
        Vehicle, models.SET_NULL, related_name="tokens", null=True, blank=True, db_index=False
    )
    uid = models.CharField(max_length=36)
    type = models.CharField(max_length=12, choices=Type, default=Type.RFID)
    contract_id = models.CharField(max_length=36, blank=True)
    label = models.CharField(
        max_length=64, blank=True, help_text="what is printed on the card, or whose it is"
    )
    group_name = models.CharField(
        max_length=36, blank=True, help_text="of its fleet: a booking may name it instead of its tokens"
    )
    is_read_either_way = models.BooleanField(
        default=False, help_text="a card that some readers give with its bytes in the other order"
    )
    is_blocked = models.BooleanField(default=False)
    country_code = models.CharField(max_length=2, blank=True, editable=False)
    party_id = models.CharField(max_length=5, blank=True, editable=False)
    owner_check = models.CharField(max_length=6, choices=OwnerCheck, default=OwnerCheck.NEVER, editable=False)
    told = models.JSONField(null=True, editable=False)
    told_at = models.DateTimeField(null=True, editable=False)
    heard_at = models.DateTimeField(null=True, editable=False)
    version = models.BigIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["uid"]
        constraints = [
            models.UniqueConstraint(
                F("fleet"),
                CardNumber("uid"),
                F("type"),
                name="token_once",
                condition=Q(told__isnull=True),
            ),
            models.UniqueConstraint(
                F("fleet"),
                Upper("country_code"),
                Upper("party_id"),
                Upper("uid"),
                F("type"),
                name="network_token_once",
                condition=Q(told__isnull=False),
            ),
            models.CheckConstraint(name="token_uid_given", condition=~Q(uid="")),
        ]
        indexes = [
            models.Index(CardNumber("uid"), name="token_uid"),
            # Networks' tokens, of which there are many, are in no vehicle.
            models.Index(fields=["vehicle"], name="token_vehicle", condition=Q(vehicle__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.uid

    @property
    def ending(self) -> str:
        """All of a token that others than its fleet may see."""
        return card_ending(self.uid)

    @property
    def is_told_by_plug(self) -> bool:
        """Whether its vehicle is recognised by plugging in."""
        return self.type in PLUGGED_IN
