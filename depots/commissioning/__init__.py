"""Commissioning: what a bookable charger is set to, how far each is that, and how it becomes that."""

from depots.commissioning.inventory import add_report_part
from depots.commissioning.rounds import begin_due_rounds, begin_round, take_settings_answer
from depots.commissioning.templates import family_of, wanted_of

__all__ = [
    "add_report_part",
    "begin_due_rounds",
    "begin_round",
    "family_of",
    "take_settings_answer",
    "wanted_of",
]
