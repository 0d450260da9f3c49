"""Bookings 1.1 (mod_bookings, Object description and Data types). Powers of timeslots are W, `power_required` is kW."""

TABLES = """
Booking
  id                       CiString(36)         1
  country_code             CiString(2)          1
  party_id                 CiString(3)          1
  request_id               CiString(36)         1
  booking_option           BookingOption        ?
  location_id              CiString(36)         1
  booking_tokens           BookingToken         *
  tariff_ids               CiString(36)         *
  period                   Timeslot             1
  reservation_status       ReservationStatus    1
  canceled                 Cancellation         ?
  access_information       AccessInformation    *
  authorization_reference  CiString(36)         1
  booking_terms            BookingTerms         1
  booking_requests         BookingRequestStatus +
  last_updated             DateTime             1
BookingLocation
  country_code             CiString(2)          1
  party_id                 CiString(3)          1
  id                       CiString(36)         1
  location_id              CiString(36)         1
  booking_option           BookingOption        ?
  policy                   Policy               ?
  tariff_ids               CiString(36)         *
  booking_terms            BookingTerms         ?
  calendars                Calendar             *
  last_updated             DateTime             1
Calendar
  id                       CiString(36)         1
  begin_from               DateTime             1
  end_before               DateTime             1
  timeslot_increment       int                  ?
  available_timeslots      Timeslot             +
  last_updated             DateTime             1
Timeslot
  start_date_time          DateTime             1
  end_date_time            DateTime             1
  min_power                number               ?
  max_power                number               ?
  green_energy_support     boolean              ?
Period
  start_date_time          DateTime             1
  end_date_time            DateTime             1
BookingOption
  evse_uid                 CiString(36)         ?
  connector_id             CiString(36)         ?
  parking_id               CiString(36)         ?
  evse_position            EVSEPosition         *
  vehicle_types            VehicleType          *
  connector_format         ConnectorFormat      *
  connector_types          ConnectorType        *
  power_types              PowerType            *
  max_vehicle_weight       number               ?
  max_vehicle_height       number               ?
  max_vehicle_length       number               ?
  max_vehicle_width        number               ?
  min_parking_space_length number               ?
  min_parking_space_width  number               ?
  dangerous_goods_allowed  boolean              ?
  drive_through            boolean              ?
  refrigeration_outlet     boolean              ?
BookingRequest
  country_code             CiString(2)          1
  party_id                 CiString(3)          1
  request_id               CiString(36)         1
  booking_option           BookingOption        ?
  location_id              CiString(36)         1
  booking_location_id      CiString(36)         1
  tokens                   BookingToken         *
  access_information       AccessInformation    *
  period                   Period               1
  authorization_reference  CiString(36)         1
  power_required           int                  ?
  canceled                 Cancellation         ?
BookingRequestStatus
  request_status           ReservationRequestStatus 1
  booking_request          object               1
  request_received         DateTime             1
BookingTerms
  rfid_auth_required       boolean              ?
  token_groups_supported   boolean              ?
  remote_auth_supported    boolean              ?
  supported_access_methods AccessMethod         +
  change_until_minutes     number               1
  cancel_until_minutes     number               1
  change_not_allowed       boolean              ?
  early_start_allowed      boolean              ?
  early_start_time         number               ?
  noshow_timeout           number               ?
  noshow_fee               boolean              ?
  late_stop_allowed        boolean              ?
  late_stop_time           number               ?
  overlapping_bookings_allowed boolean          ?
  min_booking_duration     number               ?
  max_booking_duration     number               ?
  booking_terms            URL                  ?
BookingToken
  country_code             CiString(2)          1
  party_id                 CiString(3)          1
  uid                      CiString(36)         1
  type                     TokenType            1
  contract_id              CiString(36)         1
AccessInformation
  method                   AccessMethod         1
  value                    string               ?
Policy
  reservation_required     boolean              1
  ad_hoc                   number               ?
Cancellation
  cancellation_reason      CanceledReason       1
  who_canceled             CanceledBy           1
ReservationStatus = PENDING RESERVED CANCELED FAILED NO_SHOW FULFILLED REJECTED UNKNOWN
ReservationRequestStatus = PENDING ACCEPTED DECLINED FAILED
AccessMethod = OPEN TOKEN LICENSE_PLATE ACCESS_CODE INTERCOM PARKING_TICKET
CanceledReason = POWER_OUTAGE BROKEN_CHARGER FULL BLOCKED TRAFFIC BROKEN_VEHICLE NO_CANCELED UNKNOWN
CanceledBy = CPO EMSP
"""
