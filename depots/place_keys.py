"""Names of places, compared however they are written: `Köln` is `koeln`, `Koln` and `KÖLN`. Pure."""

from __future__ import annotations

import re
from unicodedata import combining, normalize

# How people write letters that their keyboard has not; without the marks is the other way.
_SPELLED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "æ": "ae", "ø": "oe", "å": "aa", "œ": "oe"})
# Letters that are no letter with a mark.
_BARE = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ı": "i"})
# Latin, Greek and Cyrillic: what Europe's places are written in.
_READ = re.compile("^[\u0000-\u052f\u1e00-\u1fff\u2010-\u201f]*$")
_APART = re.compile(r"[^\w]+")


def place_keys(name: str) -> set[str]:
    """The keys by which a place of that name is found; none where it is written in letters that are not kept."""
    if not _READ.match(name):
        return set()
    folded = normalize("NFC", name).casefold()
    return {key for key in (_bare(folded), _bare(folded.translate(_SPELLED))) if key}


def place_key(text: str) -> str:
    """What was typed, as the keys of the places it may mean begin."""
    return _bare(normalize("NFC", text).casefold())


def _bare(folded: str) -> str:
    letters = normalize("NFKD", folded.translate(_BARE))
    kept = "".join(letter for letter in letters if not combining(letter))
    return " ".join(_APART.split(kept.replace("'", ""))).strip()
