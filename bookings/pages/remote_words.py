"""What was asked of a charger, by its depot or by its partner, and what it answered, in words."""

from __future__ import annotations

REMOTE = {
    "remote_start": "start charging",
    "remote_stop": "stop charging",
    "unlock": "unlock the plug",
    "limit": "limit its power",
    "lift_limit": "lift its limit of power",
}
# By best effort, at a partner without bookings.
KEEPING = {
    "reserve": ("keep its charger", "keeps its charger"),
    "give_back": ("take its charger back", "took its charger back"),
}


def remote_words(kind: str, answer: str) -> tuple[str, str, str]:
    if kind in KEEPING:
        return _of_partner(*KEEPING[kind], answer)
    return _of_charger(REMOTE[kind], answer)


def _of_charger(asked: str, answer: str) -> tuple[str, str, str]:
    if answer == "asked":
        return f"The charger was asked to {asked}", "plug", "info"
    if answer == "accepted":
        return f"The charger accepts to {asked}", "circle-check", "success"
    if answer == "no_answer":
        return f"The charger did not answer when asked to {asked}", "alert-triangle", "warning"
    return f"The charger refuses to {asked}", "ban", "danger"


def _of_partner(asked: str, done: str, answer: str) -> tuple[str, str, str]:
    if answer == "asked":
        return f"The partner was asked to {asked}", "lock", "info"
    if answer == "accepted":
        return f"The partner {done}", "circle-check", "success"
    if answer == "no_answer":
        return f"No answer when the partner was asked to {asked}", "alert-triangle", "warning"
    return f"The partner refuses to {asked}", "ban", "danger"
