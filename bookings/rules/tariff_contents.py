"""What versions of tariffs say, as values. A version is never changed, so each is read and parsed once in a process."""

from __future__ import annotations

from collections.abc import Collection

from bookings.models import TariffVersion
from bookings.pricing.tariff_content import TariffContent

# So many are kept; one has a few kilobytes.
MOST_KEPT = 20_000

# Added to by any thread; at worst two of them parse the same version.
_parsed: dict[int, TariffContent] = {}


def contents(version_ids: Collection[int]) -> dict[int, TariffContent]:
    """By version id; those that this process has not read before in one query. An id that is none is left out."""
    known = {pk: found for pk in version_ids if (found := _parsed.get(pk)) is not None}
    missing = [pk for pk in version_ids if pk not in known]
    if not missing:
        return known
    rows = TariffVersion.objects.filter(pk__in=missing).values_list("pk", "content")
    read = {pk: TariffContent.from_json(content) for pk, content in rows}
    if len(_parsed) + len(read) > MOST_KEPT:
        _parsed.clear()
    _parsed.update(read)
    return known | read
