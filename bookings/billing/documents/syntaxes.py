"""Where EN 16931's terms stand in its two syntaxes, CII D16B and UBL 2.1 (CEN/TS 16931-3-3 and 16931-3-2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

PREFIXES: Final = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}


@dataclass(frozen=True)
class Syntax:
    """Paths from the root; those that begin with `party_`, `line_` and `vat_` from the node of a party, line or rate.

    `{currency}` stands for the invoice's: VAT may be stated in a second one.
    """

    number: str
    type_code: str
    issued_on: str
    due_on: tuple[str, ...]
    currency: str
    seller: str
    buyer: str
    party_name: str
    party_vat_id: str
    party_country: str
    party_reference: str
    lines: str
    line_number: str
    line_description: str
    line_net: str
    line_quantity: str
    line_vat_category: str
    line_vat_rate: str
    line_first: str
    line_last: str
    line_reference: str
    vat: str
    vat_category: str
    vat_rate: str
    vat_basis: str
    vat_tax: str
    line_total: str
    net_total: str
    tax_total: str
    gross_total: str
    prepaid: str
    due: str
    preceding: str
    iban: str

    def tax_total_in(self, currency: str) -> str:
        return self.tax_total.replace("{currency}", currency)


_TRADE: Final = "rsm:SupplyChainTradeTransaction"
_AGREEMENT: Final = f"{_TRADE}/ram:ApplicableHeaderTradeAgreement"
_SETTLEMENT: Final = f"{_TRADE}/ram:ApplicableHeaderTradeSettlement"
_SUMMATION: Final = f"{_SETTLEMENT}/ram:SpecifiedTradeSettlementHeaderMonetarySummation"
_LINE_SETTLEMENT: Final = "ram:SpecifiedLineTradeSettlement"
_LINE_PERIOD: Final = f"{_LINE_SETTLEMENT}/ram:BillingSpecifiedPeriod"

CII: Final = Syntax(
    number="rsm:ExchangedDocument/ram:ID",
    type_code="rsm:ExchangedDocument/ram:TypeCode",
    issued_on="rsm:ExchangedDocument/ram:IssueDateTime/udt:DateTimeString",
    due_on=(f"{_SETTLEMENT}/ram:SpecifiedTradePaymentTerms/ram:DueDateDateTime/udt:DateTimeString",),
    currency=f"{_SETTLEMENT}/ram:InvoiceCurrencyCode",
    seller=f"{_AGREEMENT}/ram:SellerTradeParty",
    buyer=f"{_AGREEMENT}/ram:BuyerTradeParty",
    party_name="ram:Name",
    party_vat_id="ram:SpecifiedTaxRegistration/ram:ID[@schemeID='VA']",
    party_country="ram:PostalTradeAddress/ram:CountryID",
    party_reference="ram:ID",
    lines=f"{_TRADE}/ram:IncludedSupplyChainTradeLineItem",
    line_number="ram:AssociatedDocumentLineDocument/ram:LineID",
    line_description="ram:SpecifiedTradeProduct/ram:Name",
    line_net=f"{_LINE_SETTLEMENT}/ram:SpecifiedTradeSettlementLineMonetarySummation/ram:LineTotalAmount",
    line_quantity="ram:SpecifiedLineTradeDelivery/ram:BilledQuantity",
    line_vat_category=f"{_LINE_SETTLEMENT}/ram:ApplicableTradeTax/ram:CategoryCode",
    line_vat_rate=f"{_LINE_SETTLEMENT}/ram:ApplicableTradeTax/ram:RateApplicablePercent",
    line_first=f"{_LINE_PERIOD}/ram:StartDateTime/udt:DateTimeString",
    line_last=f"{_LINE_PERIOD}/ram:EndDateTime/udt:DateTimeString",
    line_reference=f"{_LINE_SETTLEMENT}/ram:AdditionalReferencedDocument[ram:TypeCode='130']/ram:IssuerAssignedID",
    vat=f"{_SETTLEMENT}/ram:ApplicableTradeTax",
    vat_category="ram:CategoryCode",
    vat_rate="ram:RateApplicablePercent",
    vat_basis="ram:BasisAmount",
    vat_tax="ram:CalculatedAmount",
    line_total=f"{_SUMMATION}/ram:LineTotalAmount",
    net_total=f"{_SUMMATION}/ram:TaxBasisTotalAmount",
    tax_total=f"{_SUMMATION}/ram:TaxTotalAmount[@currencyID='{{currency}}']",
    gross_total=f"{_SUMMATION}/ram:GrandTotalAmount",
    prepaid=f"{_SUMMATION}/ram:TotalPrepaidAmount",
    due=f"{_SUMMATION}/ram:DuePayableAmount",
    preceding=f"{_SETTLEMENT}/ram:InvoiceReferencedDocument/ram:IssuerAssignedID",
    iban=f"{_SETTLEMENT}/ram:SpecifiedTradeSettlementPaymentMeans/ram:PayeePartyCreditorFinancialAccount/ram:IBANID",
)

_TAX_OF_ITEM: Final = "cac:Item/cac:ClassifiedTaxCategory"

UBL: Final = Syntax(
    number="cbc:ID",
    type_code="cbc:InvoiceTypeCode",
    issued_on="cbc:IssueDate",
    due_on=("cbc:DueDate", "cac:PaymentMeans/cbc:PaymentDueDate"),
    currency="cbc:DocumentCurrencyCode",
    seller="cac:AccountingSupplierParty/cac:Party",
    buyer="cac:AccountingCustomerParty/cac:Party",
    party_name="cac:PartyLegalEntity/cbc:RegistrationName",
    party_vat_id="cac:PartyTaxScheme/cbc:CompanyID",
    party_country="cac:PostalAddress/cac:Country/cbc:IdentificationCode",
    party_reference="cac:PartyIdentification/cbc:ID",
    lines="cac:InvoiceLine",
    line_number="cbc:ID",
    line_description="cac:Item/cbc:Name",
    line_net="cbc:LineExtensionAmount",
    line_quantity="cbc:InvoicedQuantity",
    line_vat_category=f"{_TAX_OF_ITEM}/cbc:ID",
    line_vat_rate=f"{_TAX_OF_ITEM}/cbc:Percent",
    line_first="cac:InvoicePeriod/cbc:StartDate",
    line_last="cac:InvoicePeriod/cbc:EndDate",
    line_reference="cac:DocumentReference[cbc:DocumentTypeCode='130']/cbc:ID",
    vat="cac:TaxTotal/cac:TaxSubtotal",
    vat_category="cac:TaxCategory/cbc:ID",
    vat_rate="cac:TaxCategory/cbc:Percent",
    vat_basis="cbc:TaxableAmount",
    vat_tax="cbc:TaxAmount",
    line_total="cac:LegalMonetaryTotal/cbc:LineExtensionAmount",
    net_total="cac:LegalMonetaryTotal/cbc:TaxExclusiveAmount",
    tax_total="cac:TaxTotal/cbc:TaxAmount[@currencyID='{currency}']",
    gross_total="cac:LegalMonetaryTotal/cbc:TaxInclusiveAmount",
    prepaid="cac:LegalMonetaryTotal/cbc:PrepaidAmount",
    due="cac:LegalMonetaryTotal/cbc:PayableAmount",
    preceding="cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID",
    iban="cac:PaymentMeans/cac:PayeeFinancialAccount/cbc:ID",
)
UBL_CREDIT_NOTE: Final = replace(
    UBL, type_code="cbc:CreditNoteTypeCode", lines="cac:CreditNoteLine", line_quantity="cbc:CreditedQuantity"
)

# By the root element.
SYNTAXES: Final = {
    f"{{{PREFIXES['rsm']}}}CrossIndustryInvoice": CII,
    "{urn:oasis:names:specification:ubl:schema:xsd:Invoice-2}Invoice": UBL,
    "{urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2}CreditNote": UBL_CREDIT_NOTE,
}
