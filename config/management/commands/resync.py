"""Tell a partner network all again, and read all of its lists."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from config.management.operator_command import OperatorCommand
from depots.periods import utc_text
from roaming.outbound.resync import resync
from roaming.party_roles import RegistrationError
from roaming.queries import partner_named


class Command(OperatorCommand):
    help = "Send a partner network everything it may see as it is now, and read everything it has for us."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("partner", help="its name, or a party of it (SE*ABC)")

    def handle(self, *args: Any, partner: str, **options: Any) -> None:
        found = partner_named(partner)
        if found is None:
            raise CommandError(f"There is no partner {partner!r}.")
        now = timezone.now()
        try:
            resync(partner_id=found.pk, now=now)
        except RegistrationError as refusal:
            raise CommandError(str(refusal)) from refusal
        waiting = found.deliveries.filter(next_try_at__isnull=False).count()
        lists = list(found.pulls.filter(next_at__lte=now).order_by("pk").values_list("module", flat=True))
        self.stdout.write(
            json.dumps({"partner": str(found), "at": utc_text(now), "to_send": waiting, "to_read": lists})
        )
