from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID
from django.db import models

from depots.models.organisations import Organisation


class TrustedRoot(models.Model):
    """The certificate of an authority whose contracts an operator takes: a V2G root, or a mobility operator's own."""

    operator = models.ForeignKey(Organisation, models.CASCADE, related_name="trusted_roots", db_index=False)
    name = models.CharField(max_length=255, help_text="its subject, as RFC 4514 writes it")
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 in hex")
    pem = models.TextField()
    not_after = models.DateTimeField()
    added_at = models.DateTimeField()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["operator", "fingerprint"], name="trusted_root_once"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def common_name(self) -> str:
        """Of its subject, else the whole of it."""
        try:
            names = x509.Name.from_rfc4514_string(self.name).get_attributes_for_oid(NameOID.COMMON_NAME)
        except ValueError:  # cut off
            names = []
        return str(names[0].value) if names else self.name
