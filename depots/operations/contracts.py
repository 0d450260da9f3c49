"""A contract certificate that a charger passes on, checked against the roots of its depot's operator."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from depots.models import Charger, TrustedRoot
from depots.plug_and_charge.chain import CertificateHash, CertificateStatus, CheckedChain, check_chain


def check_contract(
    *, charger_id: int, chain: str, emaid: str, told: Sequence[CertificateHash], now: datetime
) -> CheckedChain:
    """`chain` is PEM, or "" where the charger has checked it by itself and gives hash data alone: then nothing is known here
    but what is asked of responders."""
    if not chain:
        return CheckedChain(CertificateStatus.ACCEPTED if told else CertificateStatus.NOT_AVAILABLE)
    operator = Charger.objects.filter(pk=charger_id).values("depot__operator")
    kept = TrustedRoot.objects.filter(operator__in=operator).values_list("pem", flat=True)
    roots = [x509.load_pem_x509_certificate(pem.encode()) for pem in kept]
    return check_chain(chain, emaid=emaid, roots=roots, now=now, told=told)
