"""Record what a customer has paid in."""

from argparse import ArgumentParser
from decimal import Decimal, InvalidOperation
from typing import Any

import pycountry
from django.core.management.base import CommandError
from django.utils import timezone

from bookings.actors import COMMAND
from bookings.errors import AmountInvalid
from bookings.payments.prepaid import Account, Movement, top_up
from config.management.operator_command import OperatorCommand
from depots.models import Depot, Organisation
from depots.parties import UnknownOrganisationError, organisation_called

LONGEST_REFERENCE = 140


class Command(OperatorCommand):
    help = (
        "Money that a customer has paid an operator in advance, from which its bookings are paid before they are promised. The "
        "same reference told twice is one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--operator", required=True, metavar="O", help="name or party")
        parser.add_argument("--customer", required=True, metavar="C", help="name or party")
        parser.add_argument("--amount", required=True, metavar="N", help="above zero, whole cents")
        parser.add_argument("--currency", required=True, metavar="CUR", help="three letters (ISO 4217)")
        parser.add_argument("--reference", required=True, metavar="R", help="what the bank calls it")

    def handle(
        self,
        *args: Any,
        operator: str,
        customer: str,
        amount: str,
        currency: str,
        reference: str,
        **options: Any,
    ) -> None:
        keeps, pays = _organisation("--operator", operator), _organisation("--customer", customer)
        if keeps == pays:
            raise CommandError(f"--customer: {pays.name} is the operator itself.")
        if not Depot.objects.filter(operator=keeps, is_mirror=False).exists():
            raise CommandError(f"--operator: {keeps.name} runs no depot here.")
        account = Account(keeps.pk, pays.pk, _currency(currency))
        movement = Movement(_amount(amount), _reference(reference))
        try:
            entry, is_new = top_up(account, movement, actor=COMMAND, now=timezone.now())
        except AmountInvalid as refusal:
            raise CommandError(f"--amount: {refusal}") from refusal
        self.say(
            {
                "operator": keeps.name,
                "customer": pays.name,
                "currency": account.currency,
                "amount": float(entry.amount),
                "reference": entry.reference,
                "available": float(account.available()),
                "created": is_new,
            }
        )


def _organisation(argument: str, text: str) -> Organisation:
    try:
        return organisation_called(text)
    except UnknownOrganisationError as refusal:
        raise CommandError(f"{argument}: {refusal}") from refusal


def _currency(text: str) -> str:
    found = pycountry.currencies.get(alpha_3=text.strip().upper())
    if found is None:
        raise CommandError(f"--currency: {text} is no currency (ISO 4217).")
    return str(found.alpha_3)


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise CommandError(f"--amount: {text} is no amount.")
    return amount


def _reference(text: str) -> str:
    reference = text.strip()
    if not 0 < len(reference) <= LONGEST_REFERENCE:
        raise CommandError(f"--reference: 1 to {LONGEST_REFERENCE} characters are needed.")
    return reference
