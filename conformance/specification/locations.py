"""Locations (mod_locations)."""

TABLES = """
Location
  country_code           CiString(2)          1
  party_id               CiString(3)          1
  id                     CiString(36)         1
  publish                boolean              1
  publish_allowed_to     PublishTokenType     *
  name                   string(255)          ?
  address                string(255)          1
  city                   string(45)           1
  postal_code            string(10)           ?
  state                  string(45)           ?
  country                string(3)            1
  coordinates            GeoLocation          1
  related_locations      AdditionalGeoLocation *
  parking_type           ParkingType          ?
  evses                  EVSE                 *
  parking_places         Parking              *  2.3.0
  directions             DisplayText          *
  operator               BusinessDetails      ?
  suboperator            BusinessDetails      ?
  owner                  BusinessDetails      ?
  facilities             Facility             *
  time_zone              string(255)          1
  opening_times          Hours                ?
  charging_when_closed   boolean              ?
  images                 Image                *
  energy_mix             EnergyMix            ?
  help_phone             CiString(25)         ?  2.3.0
  last_updated           DateTime             1
EVSE
  uid                    CiString(36)         1
  evse_id                CiString(48)         ?
  status                 Status               1
  status_schedule        StatusSchedule       *
  capabilities           Capability           *
  connectors             Connector            +
  floor_level            string(4)            ?
  coordinates            GeoLocation          ?
  physical_reference     string(16)           ?
  directions             DisplayText          *
  parking_restrictions   ParkingRestriction   *
  parking                EVSEParking          *  2.3.0
  images                 Image                *
  accepted_service_providers string(50)       *  2.3.0
  last_updated           DateTime             1
Connector
  id                     CiString(36)         1
  standard               ConnectorType        1
  format                 ConnectorFormat      1
  power_type             PowerType            1
  max_voltage            int                  1
  max_amperage           int                  1
  max_electric_power     int                  ?
  tariff_ids             CiString(36)         *
  terms_and_conditions   URL                  ?
  capabilities           ConnectorCapability  *  2.3.0
  last_updated           DateTime             1
Parking
  id                     CiString(36)         1
  physical_reference     string(12)           ?
  vehicle_types          VehicleType          +
  max_vehicle_weight     number               ?
  max_vehicle_height     number               ?
  max_vehicle_length     number               ?
  max_vehicle_width      number               ?
  parking_space_length   number               ?
  parking_space_width    number               ?
  dangerous_goods_allowed boolean             ?
  direction              ParkingDirection     ?
  drive_through          boolean              ?
  restricted_to_type     boolean              1
  reservation_required   boolean              1
  time_limit             number               ?
  roofed                 boolean              ?
  images                 Image                *
  lighting               boolean              ?
  refrigeration_outlet   boolean              ?
  standards              string               *
  apds_reference         string               ?
EVSEParking
  parking_id             CiString(36)         1
  evse_position          EVSEPosition         ?
Hours
  twentyfourseven        boolean              1
  regular_hours          RegularHours         *
  exceptional_openings   ExceptionalPeriod    *
  exceptional_closings   ExceptionalPeriod    *
RegularHours
  weekday                int(1)               1
  period_begin           string(5)            1
  period_end             string(5)            1
ExceptionalPeriod
  period_begin           DateTime             1
  period_end             DateTime             1
StatusSchedule
  period_begin           DateTime             1
  period_end             DateTime             ?
  status                 Status               1
PublishTokenType
  uid                    CiString(36)         ?
  type                   TokenType            ?
  visual_number          string(64)           ?
  issuer                 string(64)           ?
  group_id               CiString(36)         ?
Status = AVAILABLE BLOCKED CHARGING INOPERATIVE OUTOFORDER PLANNED REMOVED RESERVED UNKNOWN
Capability ~ CHARGING_PROFILE_CAPABLE CHARGING_PREFERENCES_CAPABLE CHIP_CARD_SUPPORT CONTACTLESS_CARD_SUPPORT CREDIT_CARD_PAYABLE DEBIT_CARD_PAYABLE PED_TERMINAL REMOTE_START_STOP_CAPABLE RESERVABLE RFID_READER START_SESSION_CONNECTOR_REQUIRED TOKEN_GROUP_CAPABLE UNLOCK_CAPABLE
ConnectorCapability ~ ISO_15118_2_PLUG_AND_CHARGE ISO_15118_20_PLUG_AND_CHARGE
ConnectorFormat = SOCKET CABLE
ConnectorType ~ CHADEMO CHAOJI DOMESTIC_A DOMESTIC_B DOMESTIC_C DOMESTIC_D DOMESTIC_E DOMESTIC_F DOMESTIC_G DOMESTIC_H DOMESTIC_I DOMESTIC_J DOMESTIC_K DOMESTIC_L DOMESTIC_M DOMESTIC_N DOMESTIC_O GBT_AC GBT_DC IEC_60309_2_single_16 IEC_60309_2_three_16 IEC_60309_2_three_32 IEC_60309_2_three_64 IEC_62196_T1 IEC_62196_T1_COMBO IEC_62196_T2 IEC_62196_T2_COMBO IEC_62196_T3A IEC_62196_T3C MCS@2.3.0 NEMA_5_20 NEMA_6_30 NEMA_6_50 NEMA_10_30 NEMA_10_50 NEMA_14_30 NEMA_14_50 PANTOGRAPH_BOTTOM_UP PANTOGRAPH_TOP_DOWN SAE_J3400@2.3.0 TESLA_R TESLA_S
PowerType = AC_1_PHASE AC_2_PHASE AC_2_PHASE_SPLIT AC_3_PHASE DC
EVSEPosition = LEFT RIGHT CENTER
Facility ~ HOTEL RESTAURANT CAFE MALL SUPERMARKET SPORT RECREATION_AREA NATURE MUSEUM BIKE_SHARING BUS_STOP TAXI_STAND TRAM_STOP METRO_STATION TRAIN_STATION AIRPORT PARKING_LOT CARPOOL_PARKING FUEL_STATION WIFI
ParkingDirection = PARALLEL PERPENDICULAR ANGLE
ParkingRestriction ~ CUSTOMERS DISABLED EMPLOYEES@2.3.0 EV_ONLY MOTORCYCLES PLUGGED TAXIS@2.3.0 TENANTS@2.3.0
ParkingType ~ ALONG_MOTORWAY PARKING_GARAGE PARKING_LOT ON_DRIVEWAY ON_STREET UNDERGROUND_GARAGE
VehicleType ~ MOTORCYCLE PERSONAL_VEHICLE PERSONAL_VEHICLE_WITH_TRAILER VAN SEMI_TRACTOR RIGID TRUCK_WITH_TRAILER BUS DISABLED
"""  # noqa: E501 - a line an enumeration
