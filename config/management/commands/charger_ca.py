"""Berth's own certificate authority for chargers: made, shown, exported, and single certificates revoked."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from config.management.operator_command import OperatorCommand
from depots.models import CertificateAuthority, ChargerCertificate
from depots.operations.certificate_requests import create_authority
from depots.operations.charger_certificates import revoke_certificate
from depots.periods import utc_text

WRONG_USAGE = 2


class Command(OperatorCommand):
    help = "The authority that signs chargers' client certificates. `create` again makes another that signs from then on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("verb", choices=("create", "show", "export", "revoke"))
        parser.add_argument("serial", nargs="?", help="revoke: the certificate's serial number, in hex")
        parser.add_argument("--name", default="Berth chargers", help="create: its common name")

    def handle(self, *args: Any, verb: str, serial: str | None, name: str, **options: Any) -> None:
        if verb == "create":
            self._show(create_authority(name=name, now=timezone.now()))
        elif verb == "revoke":
            self._revoke(serial)
        else:
            authorities = list(CertificateAuthority.objects.order_by("pk"))
            if not authorities:
                raise CommandError("There is no authority yet: charger_ca create makes one.")
            for authority in authorities:
                self._show(authority) if verb == "show" else self.stdout.write(authority.certificate)

    def _show(self, authority: CertificateAuthority) -> None:
        issued = ChargerCertificate.objects.filter(issued_at__gte=authority.created_at)
        self.say(
            {
                "authority": authority.pk,
                "created_at": utc_text(authority.created_at),
                "not_after": utc_text(authority.not_after),
                "certificates": issued.count(),
            }
        )

    def _revoke(self, serial: str | None) -> None:
        if not serial:
            raise CommandError("revoke takes a serial number.", returncode=WRONG_USAGE)
        wanted = serial.strip().replace(":", "").upper().lstrip("0")
        found = ChargerCertificate.objects.filter(serial_number=wanted)
        if not found:
            raise CommandError(f"No charger has come with or was given a certificate {serial}.")
        for certificate in found.select_related("charger"):
            revoke_certificate(certificate=certificate, now=timezone.now())
            self.say({"revoked": certificate.serial_number, "charger": certificate.charger.identity})
