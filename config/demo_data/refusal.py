"""Where the demo data are not loaded."""

from django.conf import settings
from django.core.management.base import CommandError

from config.demo_data.fleets import FIRMS
from depots.models import Organisation


def refuse_in_production() -> None:
    """Raises CommandError in an installation: the demo's people sign in with a password that everybody knows."""
    if settings.PRODUCTION:
        raise CommandError(
            "This is an installation (BERTH_DEBUG=0 or a public https address). The demo data bring logins with a "
            "well-known password and are not loaded here."
        )


def refuse_other_parties() -> None:
    """Raises CommandError where the demo was made with other party ids: its partners know it by those."""
    for firm in FIRMS:
        made = Organisation.objects.filter(name=firm.name, is_partner=False).first()
        if made and (made.cpo_party_id, made.emsp_party_id) != (
            firm.parties["cpo_party_id"], firm.parties["emsp_party_id"],
        ):  # fmt: skip
            raise CommandError(
                f"The demo's data were made with another BERTH_DEMO_PARTY ({made.emsp_party or made.cpo_party} is "
                f"{made.name}). Set that one, or begin a fresh demo with another BERTH_VAR."
            )
