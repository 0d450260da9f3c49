"""Time zones as partners spell them. Only what can mean one zone is taken; everything else is none.

Not taken: "GMT+1", "UTC+01:00" and other fixed offsets, which are right for half a year.
"""

from __future__ import annotations

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

# CLDR's windowsZones, territory 001, for the parts of the world where trucks of ours go.
WINDOWS = {
    "gmt standard time": "Europe/London",
    "greenwich standard time": "Atlantic/Reykjavik",
    "w. europe standard time": "Europe/Berlin",
    "romance standard time": "Europe/Paris",
    "central europe standard time": "Europe/Budapest",
    "central european standard time": "Europe/Warsaw",
    "e. europe standard time": "Europe/Chisinau",
    "fle standard time": "Europe/Kyiv",
    "gtb standard time": "Europe/Bucharest",
    "turkey standard time": "Europe/Istanbul",
    "russian standard time": "Europe/Moscow",
}
# Countries (ISO 3166-1 alpha-3) on one clock: there the country of an address says the zone. Spain and Portugal have
# islands on another, so they are not here.
OF_COUNTRY = {
    "ALB": "Europe/Tirane", "AND": "Europe/Andorra", "AUT": "Europe/Vienna", "BEL": "Europe/Brussels",
    "BGR": "Europe/Sofia", "BIH": "Europe/Sarajevo", "CHE": "Europe/Zurich", "CZE": "Europe/Prague",
    "DEU": "Europe/Berlin", "DNK": "Europe/Copenhagen", "EST": "Europe/Tallinn", "FIN": "Europe/Helsinki",
    "FRA": "Europe/Paris", "GBR": "Europe/London", "GRC": "Europe/Athens", "HRV": "Europe/Zagreb",
    "HUN": "Europe/Budapest", "IRL": "Europe/Dublin", "ITA": "Europe/Rome", "LIE": "Europe/Vaduz",
    "LTU": "Europe/Vilnius", "LUX": "Europe/Luxembourg", "LVA": "Europe/Riga", "MCO": "Europe/Monaco",
    "MKD": "Europe/Skopje", "MLT": "Europe/Malta", "MNE": "Europe/Podgorica", "NLD": "Europe/Amsterdam",
    "NOR": "Europe/Oslo", "POL": "Europe/Warsaw", "ROU": "Europe/Bucharest", "SMR": "Europe/San_Marino",
    "SRB": "Europe/Belgrade", "SVK": "Europe/Bratislava", "SVN": "Europe/Ljubljana", "SWE": "Europe/Stockholm",
    "TUR": "Europe/Istanbul",
}  # fmt: skip
# Names of the database that are no place.
_NO_ZONE = {"localtime", "factory", "posixrules"}


def known(told: str) -> str | None:
    """The IANA name that is meant: any case, blanks around or for underlines, or a name of Windows. None for no zone."""
    folded = " ".join(told.replace("_", " ").lower().split())
    return WINDOWS.get(folded) or _by_folded_name().get(folded)


def of_country(country: str) -> str | None:
    """The zone of a country that has only one; None where the country does not settle it."""
    return OF_COUNTRY.get(country.strip().upper())


@cache
def _by_folded_name() -> dict[str, str]:
    names = {name for name in available_timezones() if name.lower() not in _NO_ZONE and len(name) <= 64}
    return {name.replace("_", " ").lower(): ZoneInfo(name).key for name in names}
