"""Deviations of which whoever plans should know, in words; every other name says enough to who knows OCPI."""

IN_WORDS = {
    "location.time_zone.unreadable": "A depot's time zone cannot be read",
    "location.time_zone_missing": "A depot comes without a time zone",
    "location.unreadable": "A depot cannot be read, so it is not shown",
    "booking_location.unreadable": "An offer cannot be read, so it is not shown",
    "booking_location.location_not_told": "An offer is at a depot that was not told of, so it is not shown",
    "tariff.unreadable": "A tariff cannot be read, so no price is shown by it",
    "evse.unreadable": "An EVSE cannot be read, so it is not shown",
    "booking_option.several": "An offer has several options, of which only the first is shown",
    "booking.never_asked_for": "A booking was told of that nobody here asked for",
    "timeslot.power_in_kw": "Power is given in kW where watts belong",
    "timeslot.power_implausible": "Slots for trucks have less than 10 kW or more than 4 MW: see its switch timeslot_power_unit",
    "booking.unreadable": "It answered with a booking that cannot be read: what became of ours is looked up in its list",
    "booking_location.bookable_parking_options": "It writes Bookings 1.0; what it gets decides its switch bookings_edition",
    "booking.bookable_parking_option": "It writes Bookings 1.0; what it gets decides its switch bookings_edition",
    "invoice_record.cdr_unknown": "An invoice names CDRs that are not here",
    "invoice_record.cdr_repeated": "An invoice names a CDR twice",
    "invoice_record.of_nobody_here": "An invoice is about CDRs of nobody here",
    "credentials.role_of_another": "A party was claimed that another partner has",
}
