"""Certificates of chargers, signed by Berth's own authority as chargers ask for them, and asked for before they expire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding
from django.db import connection, transaction

from depots import certificate_authority
from depots.certificate_authority import InvalidRequestError, Root
from depots.certificates import describe, read_pem
from depots.models import CertificateAuthority, Charger, ChargerCertificate, ChargerCommand
from depots.operations.charger_certificates import unused_certificate
from depots.operations.commands import queue_command, queue_commands
from depots.secrets import decrypt, encrypt

Action = ChargerCommand.Action
State = ChargerCertificate.State

# A charger that asks again and again is not given a certificate each time.
MOST_A_DAY = 10
RENEWED_BEFORE = timedelta(days=30)
ASKED_AGAIN_AFTER = timedelta(days=1)
CHAIN_VALID = timedelta(hours=1)


@dataclass(frozen=True)
class SigningAnswer:
    """Whether the charger gets a certificate, which follows by a command; otherwise why not."""

    is_accepted: bool
    why: str = ""


def create_authority(*, name: str, now: datetime) -> CertificateAuthority:
    """The authority that signs from now on. Certificates of those before it go on opening until they expire."""
    root = certificate_authority.new_root(name, now=now)
    return CertificateAuthority.objects.create(
        certificate=root.certificate,
        key=encrypt(root.key),
        created_at=now,
        not_after=read_pem(root.certificate).not_after,
    )


def own_roots() -> str:
    """The roots of all authorities there ever were, as PEM; a thread of its own may ask, it leaves no connection behind."""
    try:
        return "".join(CertificateAuthority.objects.order_by("pk").values_list("certificate", flat=True))
    finally:
        connection.close()


def sign_request(*, charger_id: int, csr: str, request_id: int | None = None, now: datetime) -> SigningAnswer:
    """Have a charger's request signed; its certificate is queued as a command beside the answer."""
    with transaction.atomic():
        charger = (
            Charger.objects.select_for_update(no_key=True, of=("self",))
            .select_related("depot__operator")
            .get(pk=charger_id)
        )
        authority = CertificateAuthority.objects.order_by("-pk").first()
        if authority is None:
            return SigningAnswer(False, "There is no authority that could sign it.")
        recent = charger.certificates.filter(issued_at__gt=now - timedelta(days=1))
        if recent.count() >= MOST_A_DAY:
            return SigningAnswer(False, f"It was given {MOST_A_DAY} certificates within a day.")
        try:
            chain = _issued(charger, authority, csr, now)
        except InvalidRequestError as refusal:
            return SigningAnswer(False, str(refusal))
        queue_command(
            charger=charger,
            action=Action.CERTIFICATE_SIGNED,
            payload={"chain": chain, "request": request_id},
            not_after=now + CHAIN_VALID,
            now=now,
        )
    return SigningAnswer(True)


def may_ask_for_v2g(*, charger_id: int, now: datetime) -> bool:
    """Whether it may have another certificate for vehicles signed today."""
    signed = ChargerCommand.objects.filter(
        charger=charger_id,
        action=Action.CERTIFICATE_SIGNED,
        payload__has_key="for",
        created_at__gt=now - timedelta(days=1),
    )
    return signed.count() < MOST_A_DAY


def send_v2g_certificate(
    *, charger_id: int, chain: str, kind: str, request_id: int | None = None, now: datetime
) -> None:
    """Have the charger told a certificate for vehicles; `kind` is "v2g", or "v2g20" of ISO 15118-20."""
    queue_command(
        charger=Charger.objects.get(pk=charger_id),
        action=Action.CERTIFICATE_SIGNED,
        payload={"chain": chain, "request": request_id, "for": kind},
        not_after=now + CHAIN_VALID,
        now=now,
    )


def ask_for_renewals(*, now: datetime) -> int:
    """Have chargers whose certificate expires soon ask for another one, once a day. How many were asked.

    Only certificates of our own authority: others are renewed by whoever issued them.
    """
    soon = ChargerCertificate.objects.filter(
        state=State.CURRENT, issued_at__isnull=False, not_after__lt=now + RENEWED_BEFORE
    )
    asked = ChargerCommand.objects.filter(
        action=Action.RENEW_CERTIFICATE, created_at__gt=now - ASKED_AGAIN_AFTER
    )
    chargers = Charger.objects.filter(certificates__in=soon, is_withdrawn=False).exclude(commands__in=asked)
    commands = [
        ChargerCommand(
            charger=charger,
            action=Action.RENEW_CERTIFICATE,
            created_at=now,
            not_after=now + ASKED_AGAIN_AFTER,
        )
        for charger in chargers.distinct().order_by("pk")
    ]
    with transaction.atomic():
        queue_commands(commands, now=now)
    return len(commands)


def _issued(charger: Charger, authority: CertificateAuthority, csr: str, now: datetime) -> str:
    """The certificate as PEM, written down. Raises InvalidRequestError."""
    operator = charger.depot.operator
    names = {name for name in (operator.name, operator.legal_name) if name}
    request = certificate_authority.read_request(csr, identity=charger.identity, organisations=names)
    made = certificate_authority.issue(
        request,
        root=Root(authority.certificate, decrypt(authority.key)),
        identity=charger.identity,
        organisation=operator.name,
        now=now,
    )
    unused_certificate(charger.pk, describe(made), issued_at=now).save()
    return made.public_bytes(Encoding.PEM).decode()
