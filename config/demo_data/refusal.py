"""An installation has no use for well-known passwords."""

from django.conf import settings
from django.core.management.base import CommandError


def refuse_in_production() -> None:
    """Raises CommandError in an installation: the demo's people sign in with a password that everybody knows."""
    if settings.PRODUCTION:
        raise CommandError(
            "This is an installation (BERTH_DEBUG=0 or a public https address). The demo data bring logins with a "
            "well-known password and are not loaded here."
        )
