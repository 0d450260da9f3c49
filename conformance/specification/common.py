"""What several modules use: types.asciidoc, version_information_endpoint, credentials, hubclientinfo."""

TABLES = """
DisplayText
  language               string(2)            1
  text                   string(512)          1
Price
  before_taxes           number               1  2.3.0
  taxes                  TaxAmount            *  2.3.0
  excl_vat               number               1  2.2.1
  incl_vat               number               ?  2.2.1
PriceLimit
  before_taxes           number               1
  after_taxes            number               ?
TaxAmount
  name                   string               1
  account_number         string               ?
  percentage             number               ?
  amount                 number               1
Role = CPO EMSP NAP NSP OTHER SCSP HUB@2.2.1
InterfaceRole = SENDER RECEIVER
VersionNumber ~ 2.0 2.1 2.1.1 2.2 2.2.1 2.3.0
Version
  version                VersionNumber        1
  url                    URL                  1
VersionDetails
  version                VersionNumber        1
  endpoints              Endpoint             +
Endpoint
  identifier             CiString(255)        1
  role                   InterfaceRole        1
  url                    URL                  1
Credentials
  token                  token(64)            1
  url                    URL                  1
  hub_party_id           CiString(5)          ?  2.3.0
  roles                  CredentialsRole      +
CredentialsRole
  role                   Role                 1
  party_id               CiString(3)          1
  country_code           CiString(2)          1
  business_details       BusinessDetails      1
BusinessDetails
  name                   string(100)          1
  website                URL                  ?
  logo                   Image                ?
Image
  url                    URL                  1
  thumbnail              URL                  ?
  category               ImageCategory        1
  type                   CiString(4)          1
  width                  int(5)               ?
  height                 int(5)               ?
ImageCategory ~ CHARGER ENTRANCE LOCATION NETWORK OPERATOR OTHER OWNER
GeoLocation
  latitude               string(10)           1
  longitude              string(11)           1
AdditionalGeoLocation
  latitude               string(10)           1
  longitude              string(11)           1
  name                   DisplayText          ?
EnergyMix
  is_green_energy        boolean              1
  energy_sources         EnergySource         *
  environ_impact         EnvironmentalImpact  *
  supplier_name          string(64)           ?
  energy_product_name    string(64)           ?
EnergySource
  source                 EnergySourceCategory 1
  percentage             number               1
EnergySourceCategory = NUCLEAR GENERAL_FOSSIL COAL GAS GENERAL_GREEN SOLAR WIND WATER
EnvironmentalImpact
  category               EnvironmentalImpactCategory 1
  amount                 number               1
EnvironmentalImpactCategory ~ NUCLEAR_WASTE CARBON_DIOXIDE
ClientInfo
  party_id               CiString(3)          1
  country_code           CiString(2)          1
  role                   Role                 1
  status                 ConnectionStatus     1
  last_updated           DateTime             1
ConnectionStatus = CONNECTED OFFLINE PLANNED SUSPENDED
InvoiceReconciliationRecord
  country_code           CiString(2)          1
  party_id               CiString(3)          1
  id                     CiString(36)         1
  invoice_id             CiString(255)        1
  cdrs                   CiString(39)         +
  last_updated           DateTime             1
"""
