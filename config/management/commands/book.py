"""Book a slot as a dispatcher does, at an own or a partner's depot."""

from argparse import ArgumentParser
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import CommandError
from django.utils import timezone

from bookings.actors import COMMAND
from bookings.models import GROUP, Vehicle
from bookings.operations import SlotRequest, request_booking
from bookings.rules.charging_duration import EnergyAsked
from bookings.rules.entitlement import TokenName
from bookings.search.named_options import find_option
from config.management.booking_command import (
    TIME_HELP,
    BookingCommand,
    add_energy,
    evse_of,
    read_energy,
    read_option,
    read_period,
    read_power,
    trailer_of,
)
from depots.parties import organisation_called


class Command(BookingCommand):
    help = "Book a slot for a vehicle of a fleet; prints the booking."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--vehicle", required=True, metavar="PLATE")
        parser.add_argument(
            "--option", required=True, metavar="OPTION", help="a booking option's or BookingLocation's id"
        )
        parser.add_argument("--start", required=True, metavar="T", help=TIME_HELP)
        parser.add_argument("--end", metavar="T", help="without it, as long as the energy asked for takes")
        add_energy(parser)
        parser.add_argument("--evse", metavar="UID", help="one EVSE of the option")
        parser.add_argument("--trailer", metavar="PLATE", help="what the vehicle brings, of its fleet")
        parser.add_argument("--power-kw", metavar="N", help="the power to be promised")
        parser.add_argument(
            "--group",
            metavar="G",
            help="a group of the fleet's tokens, whose members may charge instead of the vehicle's own",
        )
        parser.add_argument(
            "--organisation", metavar="O", help="the fleet, where two have a vehicle of that plate"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        vehicle = _vehicle(options["vehicle"], options["organisation"])
        option = find_option(options["option"].strip(), vehicle.fleet, now=now)
        asked: dict[str, Any] = {
            "fleet": vehicle.fleet,
            "option": option,
            "vehicle": vehicle,
            "trailer": trailer_of(vehicle.fleet, options["trailer"]),
            "evse": evse_of(option, options["evse"]),
            "power_w": read_power(options["power_kw"]),
            "tokens": [TokenName(options["group"].strip(), GROUP)] if options["group"] else None,
        }
        slot = _slot(options["start"], options["end"], read_energy(options), option.depot.zone, asked)
        self.say_booking(request_booking(slot, actor=COMMAND, now=now))


def _slot(
    start: str, end: str | None, energy: EnergyAsked | None, zone: ZoneInfo, asked: dict[str, Any]
) -> SlotRequest:
    """Raises CommandError."""
    if end is not None:
        return SlotRequest(period=read_period(start, end, zone), energy=energy, **asked)
    if energy is None:
        wanted = "Give --end, --energy-kwh, or --soc-from and --soc-to."
        raise CommandError(wanted, returncode=2)
    return SlotRequest.until_charged(starts_at=read_option("start", start, zone), energy=energy, **asked)


def _vehicle(plate: str, organisation: str | None) -> Vehicle:
    found = Vehicle.objects.filter(plate_key=plate, is_retired=False).select_related("fleet")
    if organisation is not None:
        found = found.filter(fleet=organisation_called(organisation))
    vehicles = list(found.order_by("fleet__name"))
    if not vehicles:
        of = f" of {organisation}" if organisation else ""
        raise CommandError(f"--vehicle: there is no vehicle {plate}{of}.")
    if len(vehicles) > 1:
        fleets = " and ".join(vehicle.fleet.name for vehicle in vehicles)
        raise CommandError(f"--vehicle: {fleets} each have a vehicle {plate}; add --organisation.")
    return vehicles[0]
