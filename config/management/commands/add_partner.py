"""Invite a partner network, or register with one that has invited us."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import product
from string import ascii_uppercase
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Q
from django.utils import timezone

from config.management.operator_command import OperatorCommand
from depots.models import Organisation
from roaming import registration
from roaming.models import Partner
from roaming.ocpi.call_failures import CallFailed
from roaming.ocpi.handshake import CannotAgree

REFUSALS = (registration.RegistrationError, CannotAgree, CallFailed)


class Command(OperatorCommand):
    help = "Register a partner network: print a token A for it, or register with it at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument("--country-code", required=True, metavar="CC")
        parser.add_argument(
            "--party-id", metavar="PID", help="three letters or digits; AAA, AAB, … with --count"
        )
        parser.add_argument(
            "--role", action="append", required=True, choices=["EMSP", "CPO", "HUB"], dest="roles"
        )
        parser.add_argument("--count", type=int, metavar="N", help="make N partners, a line each")
        parser.add_argument("--connect", metavar="VERSIONS_URL", help="where the partner's versions are")
        parser.add_argument(
            "--token", metavar="TOKEN_A", help="with --connect: the token the partner gave us"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            for line in _partners(options):
                self.stdout.write(json.dumps(line))
        except REFUSALS as refusal:
            raise CommandError(str(refusal)) from refusal


def _partners(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    country = options["country_code"].upper()
    if not (len(country) == 2 and country.isascii() and country.isalpha()):
        raise CommandError(f"--country-code: {country!r} is not a country code of two letters.", returncode=2)
    if bool(options["connect"]) != bool(options["token"]):
        raise CommandError("--connect and --token go together.", returncode=2)
    if options["count"] is not None:
        yield from _many(options, country)
        return
    party = (options["party_id"] or "").upper()
    if not (1 <= len(party) <= 3 and party.isascii() and party.isalnum()):
        raise CommandError("--party-id: up to three letters or digits are needed.", returncode=2)
    yield _connected(options, country, party) if options["connect"] else _invited(options, country, party)


def _many(options: dict[str, Any], country: str) -> Iterator[dict[str, Any]]:
    if options["connect"] or not 1 <= options["count"] <= 26**3:
        raise CommandError(f"--count: 1 to {26**3}, and not with --connect.", returncode=2)
    taken = _taken_parties(country)
    free = (party for party in map("".join, product(ascii_uppercase, repeat=3)) if party not in taken)
    for _ in range(options["count"]):
        party = next(free, None)
        if party is None:
            raise CommandError(f"All party ids of {country} are taken.")
        yield _invited({**options, "name": f"{options['name']} {party}"}, country, party)


def _invited(options: dict[str, Any], country: str, party: str) -> dict[str, Any]:
    invitation = registration.invite(
        name=options["name"], country_code=country, party_id=party, roles=options["roles"], now=timezone.now()
    )
    return {
        "partner": invitation.partner.organisation.name,
        "country_code": country,
        "party_id": party,
        "roles": invitation.partner.expected_roles,
        "versions_url": invitation.versions_url,
        "token_a": invitation.token_a,
    }


def _connected(options: dict[str, Any], country: str, party: str) -> dict[str, Any]:
    partner = registration.connect(
        name=options["name"],
        country_code=country,
        party_id=party,
        roles=options["roles"],
        versions_url=options["connect"],
        token_a=options["token"],
        now=timezone.now(),
    )
    return agreed(partner)


def agreed(partner: Partner) -> dict[str, Any]:
    """What a registration came to, without tokens."""
    return {
        "partner": partner.organisation.name,
        "state": partner.state,
        "version": partner.version,
        "versions_url": partner.versions_url,
        "roles": partner.roles,
        "endpoints": partner.endpoints,
    }


def _taken_parties(country: str) -> set[str]:
    known = Organisation.objects.filter(Q(country_code__iexact=country)).values_list(
        "cpo_party_id", "emsp_party_id"
    )
    return {party.upper() for parties in known for party in parties if party}
