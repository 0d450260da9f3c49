from __future__ import annotations

from django.db import transaction

from depots import secrets
from roaming.models import Partner, PartnerToken


def rotate_stored_secrets() -> int:
    """Keep every partner's tokens, ours and theirs, under the newest storage key; how many secrets those are.

    Calls that arrive meanwhile are recognised under either key. Raises UnreadableSecretError when a secret was kept under
    a key that is no longer among `BERTH_STORAGE_KEYS`; nothing is changed then.
    """
    with transaction.atomic():
        partners = list(Partner.objects.order_by("pk").select_for_update(no_key=True, of=("self",)))
        tokens = list(PartnerToken.objects.order_by("pk").select_for_update(no_key=True))
        for token in tokens:
            plain = secrets.decrypt(token.token_encrypted)
            token.token_hash, token.token_encrypted = secrets.hash_token(plain), secrets.encrypt(plain)
        outbound = [partner for partner in partners if partner.outbound_token_encrypted]
        for partner in outbound:
            partner.outbound_token_encrypted = secrets.encrypt(
                secrets.decrypt(partner.outbound_token_encrypted)
            )
        PartnerToken.objects.bulk_update(tokens, ["token_hash", "token_encrypted"], batch_size=500)
        Partner.objects.bulk_update(outbound, ["outbound_token_encrypted"], batch_size=500)
        return len(tokens) + len(outbound)
