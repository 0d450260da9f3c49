from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Upper

from depots.name_keys import NameKey


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A person who signs in with an e-mail address; without a password until one is set by link."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        """People do not remember how they spelled the capitals of their address."""
        return self.get(email__iexact=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person. What they may do follows from their memberships."""

    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=100, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_once")]

    def __str__(self) -> str:
        return self.email


class Organisation(models.Model):
    """A fleet, a depot operator, both, or a partner network; named in OCPI by country code and party id.

    From `legal_name` on: what an invoice must say of it.
    """

    name = models.CharField(max_length=100)
    name_key = NameKey("name")
    country_code = models.CharField(max_length=2, blank=True)
    cpo_party_id = models.CharField(max_length=5, blank=True)
    emsp_party_id = models.CharField(max_length=5, blank=True)
    is_partner = models.BooleanField(
        default=False, help_text="a network that is reached over OCPI, without users here"
    )
    website = models.URLField(max_length=255, blank=True)
    legal_name = models.CharField(max_length=200, blank=True)
    legal_name_key = NameKey("legal_name", blank=True, max_length=600)
    address = models.CharField(max_length=255, blank=True)
    postal_code = models.CharField(max_length=10, blank=True)
    city = models.CharField(max_length=45, blank=True)
    country = models.CharField(max_length=3, blank=True, help_text="ISO 3166-1 alpha-3")
    vat_id = models.CharField(max_length=20, blank=True)
    iban = models.CharField(max_length=34, blank=True)
    creditor_id = models.CharField(max_length=35, blank=True, help_text="of SEPA, for direct debits")
    billing_email = models.EmailField(max_length=254, blank=True)
    billing_day = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="of each month, on which the month before is billed by itself; none: by hand",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="billing_day_of_every_month",
                condition=Q(billing_day__isnull=True) | Q(billing_day__range=(1, 28)),
            ),
            models.UniqueConstraint(fields=["name_key"], name="organisation_name_once"),
            models.UniqueConstraint(
                Upper("country_code"),
                Upper("cpo_party_id"),
                name="cpo_party_once",
                condition=~Q(cpo_party_id=""),
            ),
            models.UniqueConstraint(
                Upper("country_code"),
                Upper("emsp_party_id"),
                name="emsp_party_once",
                condition=~Q(emsp_party_id=""),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def cpo_party(self) -> str:
        """`NL*LPK`, as people write a party; empty when the organisation runs no depots in OCPI."""
        return f"{self.country_code}*{self.cpo_party_id}" if self.cpo_party_id else ""

    @property
    def emsp_party(self) -> str:
        return f"{self.country_code}*{self.emsp_party_id}" if self.emsp_party_id else ""


class Membership(models.Model):
    """What a person may do in an organisation."""

    class Role(models.TextChoices):
        DISPATCHER = "dispatcher", "Dispatcher"
        DEPOT_MANAGER = "depot_manager", "Depot manager"
        ACCOUNTANT = "accountant", "Accountant"
        ADMIN = "admin", "Administrator"
        VIEWER = "viewer", "Viewer"

    user = models.ForeignKey(User, models.CASCADE, related_name="memberships", db_index=False)
    organisation = models.ForeignKey(Organisation, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "organisation", "role"], name="membership_role_once"),
            models.CheckConstraint(
                name="membership_role_known",
                condition=Q(role__in=["dispatcher", "depot_manager", "accountant", "admin", "viewer"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} as {self.role} of {self.organisation}"
