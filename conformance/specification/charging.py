"""Tokens, sessions, CDRs, commands and charging profiles (mod_tokens, mod_sessions, mod_cdrs, mod_commands,
mod_charging_profiles)."""

TABLES = """
Token
  country_code           CiString(2)          1
  party_id               CiString(3)          1
  uid                    CiString(36)         1
  type                   TokenType            1
  contract_id            CiString(36)         1
  visual_number          string(64)           ?
  issuer                 string(64)           1
  group_id               CiString(36)         ?
  valid                  boolean              1
  whitelist              WhitelistType        1
  language               string(2)            ?
  default_profile_type   ProfileType          ?
  energy_contract        EnergyContract       ?
  last_updated           DateTime             1
EnergyContract
  supplier_name          string(64)           1
  contract_id            string(64)           ?
AuthorizationInfo
  allowed                AllowedType          1
  token                  Token                1
  location               LocationReferences   ?
  authorization_reference CiString(36)        ?
  info                   DisplayText          ?
LocationReferences
  location_id            CiString(36)         1
  evse_uids              CiString(36)         *
TokenType ~ AD_HOC_USER APP_USER EMAID@2.3.0 OTHER RFID
WhitelistType = ALWAYS ALLOWED ALLOWED_OFFLINE NEVER
AllowedType = ALLOWED BLOCKED EXPIRED NO_CREDIT NOT_ALLOWED
ProfileType = CHEAP FAST GREEN REGULAR
Session
  country_code           CiString(2)          1
  party_id               CiString(3)          1
  id                     CiString(36)         1
  start_date_time        DateTime             1
  end_date_time          DateTime             ?
  kwh                    number               1
  cdr_token              CdrToken             1
  auth_method            AuthMethod           1
  authorization_reference CiString(36)        ?
  location_id            CiString(36)         1
  evse_uid               CiString(36)         1
  connector_id           CiString(36)         1
  meter_id               string(255)          ?
  currency               string(3)            1
  charging_periods       ChargingPeriod       *
  total_cost             Price                ?
  status                 SessionStatus        1
  last_updated           DateTime             1
SessionStatus = ACTIVE COMPLETED INVALID PENDING RESERVATION
ChargingPreferences
  profile_type           ProfileType          1
  departure_time         DateTime             ?
  energy_need            number               ?
  discharge_allowed      boolean              ?
CDR
  country_code           CiString(2)          1
  party_id               CiString(3)          1
  id                     CiString(39)         1
  start_date_time        DateTime             1
  end_date_time          DateTime             1
  booking_id             CiString(36)         ?  2.3.0
  session_id             CiString(36)         ?
  cdr_token              CdrToken             1
  auth_method            AuthMethod           1
  authorization_reference CiString(36)        ?
  cdr_location           CdrLocation          1
  meter_id               string(255)          ?
  currency               string(3)            1
  tariffs                Tariff               *
  charging_periods       ChargingPeriod       +
  signed_data            SignedData           ?
  total_cost             Price                1
  total_fixed_cost       Price                ?
  total_energy           number               1
  total_energy_cost      Price                ?
  total_time             number               1
  total_time_cost        Price                ?
  total_parking_time     number               ?
  total_parking_cost     Price                ?
  total_reservation_cost Price                ?
  remark                 string(255)          ?
  invoice_reference_id   CiString(39)         ?
  credit                 boolean              ?
  credit_reference_id    CiString(39)         ?
  home_charging_compensation boolean          ?
  last_updated           DateTime             1
CdrLocation
  id                     CiString(36)         1
  name                   string(255)          ?
  address                string(255)          1
  city                   string(45)           1
  postal_code            string(10)           ?
  state                  string(45)           ?
  country                string(3)            1
  coordinates            GeoLocation          1
  evse_uid               CiString(36)         1
  evse_id                CiString(48)         1
  connector_id           CiString(36)         1
  connector_standard     ConnectorType        1
  connector_format       ConnectorFormat      1
  connector_power_type   PowerType            1
CdrToken
  country_code           CiString(2)          1
  party_id               CiString(3)          1
  uid                    CiString(36)         1
  type                   TokenType            1
  contract_id            CiString(36)         1
ChargingPeriod
  start_date_time        DateTime             1
  dimensions             CdrDimension         +
  tariff_id              CiString(36)         ?
CdrDimension
  type                   CdrDimensionType     1
  volume                 number               1
SignedData
  encoding_method        CiString(36)         1
  encoding_method_version int                 ?
  public_key             string(512)          ?
  signed_values          SignedValue          +
  url                    string(512)          ?
SignedValue
  nature                 CiString(32)         1
  plain_data             string(5000)         1
  signed_data            string(5000)         1
AuthMethod = AUTH_REQUEST COMMAND WHITELIST
CdrDimensionType = CURRENT ENERGY ENERGY_EXPORT ENERGY_IMPORT MAX_CURRENT MIN_CURRENT MAX_POWER MIN_POWER PARKING_TIME POWER RESERVATION_TIME RESERVATION_EXPIRES@2.3.0 RESERVATION_OVERTIME@2.3.0 STATE_OF_CHARGE TIME
CommandResponse
  result                 CommandResponseType  1
  timeout                int                  1
  message                DisplayText          *
CommandResult
  result                 CommandResultType    1
  message                DisplayText          *
ReserveNow
  response_url           URL                  1
  token                  Token                1
  expiry_date            DateTime             1
  reservation_id         CiString(36)         1
  location_id            CiString(36)         1
  evse_uid               CiString(36)         ?
  authorization_reference CiString(36)        ?
CancelReservation
  response_url           URL                  1
  reservation_id         CiString(36)         1
StartSession
  response_url           URL                  1
  token                  Token                1
  location_id            CiString(36)         1
  evse_uid               CiString(36)         ?
  connector_id           CiString(36)         ?
  authorization_reference CiString(36)        ?
StopSession
  response_url           URL                  1
  session_id             CiString(36)         1
UnlockConnector
  response_url           URL                  1
  location_id            CiString(36)         1
  evse_uid               CiString(36)         1
  connector_id           CiString(36)         1
CommandResponseType = NOT_SUPPORTED REJECTED ACCEPTED UNKNOWN_SESSION
CommandResultType = ACCEPTED CANCELED_RESERVATION EVSE_OCCUPIED EVSE_INOPERATIVE FAILED NOT_SUPPORTED REJECTED TIMEOUT UNKNOWN_RESERVATION
ChargingProfileResponse
  result                 ChargingProfileResponseType 1
  timeout                int                  1
ActiveChargingProfileResult
  result                 ChargingProfileResultType 1
  profile                ActiveChargingProfile ?
ChargingProfileResult
  result                 ChargingProfileResultType 1
ClearProfileResult
  result                 ChargingProfileResultType 1
SetChargingProfile
  charging_profile       ChargingProfile      1
  response_url           URL                  1
ActiveChargingProfile
  start_date_time        DateTime             1
  charging_profile       ChargingProfile      1
ChargingProfile
  start_date_time        DateTime             ?
  duration               int                  ?
  charging_rate_unit     ChargingRateUnit     1
  min_charging_rate      number               ?
  charging_profile_period ChargingProfilePeriod *
ChargingProfilePeriod
  start_period           int                  1
  limit                  number               1
ChargingRateUnit = W A
ChargingProfileResponseType = ACCEPTED NOT_SUPPORTED REJECTED TOO_OFTEN UNKNOWN_SESSION
ChargingProfileResultType = ACCEPTED REJECTED UNKNOWN
"""  # noqa: E501 - a line an enumeration
