"""Load the list of places that place names are looked up in."""

import json
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from depots.operations.gazetteer import gazetteer_version, load_gazetteer


class Command(BaseCommand):
    help = "Load the packaged list of places, unless it is loaded; a worker does the same by itself once it starts."

    def handle(self, *args: Any, **options: Any) -> None:
        loaded = load_gazetteer(now=timezone.now())
        self.stdout.write(json.dumps({"version": gazetteer_version(), "loaded": loaded}))
