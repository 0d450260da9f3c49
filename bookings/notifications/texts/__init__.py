"""The words of news, a module a language: TITLES has a sentence for each kind, SHORT its name among a person's settings, REASONS
what is said of a code, ENFORCEMENT why a slot is not kept as it should be, NEXT what follows from that, INTERRUPTED why charging
broke off, PHRASES the rest. Placeholders are those of `wording.values`."""

from __future__ import annotations

from types import ModuleType

from bookings.notifications.texts import de, en

LANGUAGES: dict[str, ModuleType] = {"en": en, "de": de}
