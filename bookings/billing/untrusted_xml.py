"""XML of strangers: invoices that suppliers send, statements that banks write. What it holds is believed of nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any, Final

from lxml import etree

from bookings.billing.errors import DocumentUnreadable

LONGEST_XML: Final = 8 * 1024 * 1024
_LONGEST_TEXT: Final = 500
_AMOUNT: Final = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,12})?")
_DATE: Final = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})")


class Node:
    """An element with the prefixes its paths use. What it reads is stripped and cut to 500 signs."""

    def __init__(self, element: Any, prefixes: Mapping[str, str]) -> None:
        self.element = element
        self.prefixes = prefixes

    @property
    def tag(self) -> str:
        """Name and namespace in Clark's notation: {namespace}name."""
        return str(self.element.tag)

    def all(self, path: str) -> Iterator[Node]:
        for found in self.element.iterfind(path, self.prefixes):
            yield Node(found, self.prefixes)

    def first(self, path: str) -> Node | None:
        return next(self.all(path), None)

    def text(self, path: str, *, needed: str = "") -> str:
        """What stands there, "" for nothing. Raises DocumentUnreadable when nothing does and `needed` names it."""
        words = (self.element.findtext(path, None, self.prefixes) or "").strip()[:_LONGEST_TEXT]
        if needed and not words:
            raise DocumentUnreadable(f"The file does not say its {needed}.")
        return words

    def amount(self, path: str, what: str, *, default: Decimal | None = None) -> Decimal:
        """A decimal number. Raises DocumentUnreadable for none, unless there is a default, and for anything else."""
        words = self.text(path, needed="" if default is not None else what)
        if not words and default is not None:
            return default
        if not _AMOUNT.fullmatch(words):
            raise DocumentUnreadable(f"“{words[:40]}” is no number, where the {what} should be.")
        return Decimal(words)

    def date(self, path: str, what: str) -> date | None:
        """A day as 2026-11-02 or 20261102, None for none. Raises DocumentUnreadable for anything else."""
        words = self.text(path)
        if not words:
            return None
        found = _DATE.match(words)
        with suppress(ValueError):
            if found:
                return date(int(found[1]), int(found[2]), int(found[3]))
        raise DocumentUnreadable(f"“{words[:40]}” is no date, where the {what} should be.")


def parse(xml: bytes, prefixes: Mapping[str, str]) -> Node:
    """The root of a document without a DTD and thus without entities. Raises DocumentUnreadable."""
    if len(xml) > LONGEST_XML:
        raise DocumentUnreadable(f"The XML is larger than {LONGEST_XML // 1024**2} MB.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(xml, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise DocumentUnreadable(f"The file is no well-formed XML: {str(error)[:200]}.") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise DocumentUnreadable("The XML has a document type of its own, which such files never need.")
    return Node(root, prefixes)
