"""Load the demo data, or bring it up to today."""

from typing import Any

from django.utils import timezone

from config.demo_data import load
from config.demo_data.refusal import refuse_in_production, refuse_other_parties
from config.management.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = "Load the demo data; called again, only what has come due since is added."

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_in_production()
        refuse_other_parties()
        loaded = load(now=timezone.now())
        new = "new" if loaded.is_new else "kept"
        self.stdout.write(
            f"Demo data {new}: {loaded.depots} depots with {loaded.evses} EVSEs, {loaded.bookings} bookings "
            f"({loaded.made} of them made now)"
        )
