"""Tariffs (mod_tariffs, and what Bookings adds to it)."""

TABLES = """
Tariff
  country_code           CiString(2)          1
  party_id               CiString(3)          1
  id                     CiString(36)         1
  currency               string(3)            1
  type                   TariffType           ?
  tariff_alt_text        DisplayText          *
  tariff_alt_url         URL                  ?
  min_price              PriceLimit           ?  2.3.0
  max_price              PriceLimit           ?  2.3.0
  min_price              Price                ?  2.2.1
  max_price              Price                ?  2.2.1
  elements               TariffElement        +
  tax_included           TaxIncluded          1  2.3.0
  start_date_time        DateTime             ?
  end_date_time          DateTime             ?
  energy_mix             EnergyMix            ?
  last_updated           DateTime             1
TariffElement
  price_components       PriceComponent       +
  restrictions           TariffRestrictions   ?
PriceComponent
  type                   TariffDimensionType  1
  price                  number               1
  vat                    number               ?
  step_size              int                  1
TariffRestrictions
  start_time             string(5)            ?
  end_time               string(5)            ?
  start_date             string(10)           ?
  end_date               string(10)           ?
  min_kwh                number               ?
  max_kwh                number               ?
  min_current            number               ?
  max_current            number               ?
  min_power              number               ?
  max_power              number               ?
  min_duration           int                  ?
  max_duration           int                  ?
  day_of_week            DayOfWeek            *
  reservation            ReservationRestrictionType ?
  booking                BookingRestrictionType ?  2.3.0
DayOfWeek = MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY SUNDAY
ReservationRestrictionType = RESERVATION RESERVATION_EXPIRES
BookingRestrictionType = BOOKING BOOKING_EXPIRES BOOKING_CANCELLATION_FEES BOOKING_OVERTIME
TariffDimensionType = ENERGY FLAT PARKING_TIME TIME
TariffType = AD_HOC_PAYMENT PROFILE_CHEAP PROFILE_FAST PROFILE_GREEN REGULAR
TaxIncluded = YES NO N/A
"""
