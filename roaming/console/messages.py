"""The message log as people look through it: newest first, narrowed down, one message whole."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from django.db.models import Q, QuerySet

from roaming.models import Partner, PartnerMessage
from roaming.ocpi.dialect import dialect_of

# Of our own addresses the module is what follows the version, of a partner's what its version details call it.
_OUR_VERSIONS = r"^/ocpi/(?:versions|[0-9.]+)/?(?:[?]|$)"


@dataclass(frozen=True)
class Filters:
    """What somebody looks for. `search` is in ids, addresses and bodies: a request, a booking, a token."""

    direction: str = ""
    module: str = ""
    outcome: str = ""
    search: str = ""

    def narrowed(self, partner: Partner) -> QuerySet[PartnerMessage]:
        rows = partner.messages.order_by("-at", "-pk")
        if self.direction:
            rows = rows.filter(is_incoming=self.direction == "in")
        if self.outcome:
            rows = rows.filter(outcome=self.outcome)
        if self.module:
            rows = rows.filter(_of_module(partner, self.module))
        if self.search:
            ids = Q(request_id=self.search) | Q(correlation_id=self.search)
            said = Q(request_body__icontains=self.search) | Q(response_body__icontains=self.search)
            rows = rows.filter(ids | said | Q(url__icontains=self.search))
        return rows


@dataclass(frozen=True)
class Shown:
    """A message with what it is about."""

    message: PartnerMessage
    modules: tuple[tuple[str, str], ...]

    @property
    def module(self) -> str:
        return _module_of(self.message, self.modules)

    @property
    def title(self) -> str:
        return f"{self.message.method} {self.module or 'elsewhere'}"

    @property
    def path(self) -> str:
        """The address without what is the same for all: the partner's host."""
        if self.message.is_incoming:
            return self.message.url
        parts = urlsplit(self.message.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @cached_property
    def request(self) -> str:
        return pretty(self.message.request_body)

    @cached_property
    def response(self) -> str:
        return pretty(self.message.response_body)


def shown(partner: Partner, messages: list[PartnerMessage]) -> list[Shown]:
    modules = tuple(_modules(partner))
    return [Shown(message, modules) for message in messages]


def module_choices(partner: Partner) -> list[str]:
    """The modules of this partner, ours and its own, as people choose among them."""
    theirs = {_named(endpoint["identifier"]) for endpoint in partner.endpoints}
    ours = {
        _named(endpoint["identifier"]) for endpoint in dialect_of(partner).registration.endpoints(partner)
    }
    return sorted({*theirs, *ours, "versions"})


def pretty(body: str) -> str:
    """JSON with its lines; what was cut in the log, or is none, as it is."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False) if body else ""
    except (ValueError, RecursionError):
        return body


def _of_module(partner: Partner, module: str) -> Q:
    """Messages to our address of a module, and to the partner's."""
    found = Q(
        is_incoming=True, url__regex=_OUR_VERSIONS if module == "versions" else _our_path(re.escape(module))
    )
    for name, base in _modules(partner):
        if name == module:
            found |= Q(is_incoming=False, url__startswith=base)
    return found


def _module_of(message: PartnerMessage, modules: tuple[tuple[str, str], ...]) -> str:
    if message.is_incoming:
        if re.match(_OUR_VERSIONS, message.url):
            return "versions"
        ours = re.match(_our_path("[^/?]+"), message.url)
        return _named(ours[1]) if ours else ""
    return next((name for name, base in modules if message.url.startswith(base)), "")


def _modules(partner: Partner) -> list[tuple[str, str]]:
    """(module, beginning of the partner's addresses), the longest first: one may begin as another does."""
    found = [(_named(endpoint["identifier"]), endpoint["url"]) for endpoint in partner.endpoints]
    if partner.versions_url:
        found.append(("versions", partner.versions_url))
    return sorted(found, key=lambda one: -len(one[1]))


def _named(identifier: str) -> str:
    """Modules compare folded; that of bookings has two names (ocpi/modules/bookings.py)."""
    folded = identifier.lower()
    return "bookings" if folded == "booking" else folded


def _our_path(module: str) -> str:
    """For PostgreSQL as for Python."""
    return rf"^/ocpi/(?:(?:cpo|emsp)/)?[^/?]+/({module})(?:[/?]|$)"
