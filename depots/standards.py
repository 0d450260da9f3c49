"""Names of plugs, vehicle types and protocols that files, forms and partners share. Plugs and types are OCPI's."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Final


@dataclass(frozen=True)
class Plug:
    """A connector standard: what people call it, its kind of current and the voltage it is used with here."""

    label: str
    power_type: str
    voltage_v: int

    def amperage_a(self, power_w: int) -> int:
        """The current an outlet of this power needs, per phase."""
        phases = sqrt(3) if self.power_type == "AC_3_PHASE" else 1
        return ceil(power_w / self.voltage_v / phases)


PLUGS: Final = {
    "IEC_62196_T2_COMBO": Plug("CCS", "DC", 1000),
    "MCS": Plug("MCS", "DC", 1250),
    "IEC_62196_T1_COMBO": Plug("CCS type 1", "DC", 1000),
    "CHADEMO": Plug("CHAdeMO", "DC", 1000),
    "CHAOJI": Plug("ChaoJi", "DC", 1500),
    "GBT_DC": Plug("GB/T DC", "DC", 1000),
    "GBT_AC": Plug("GB/T AC", "AC_3_PHASE", 400),
    "SAE_J3400": Plug("NACS", "DC", 1000),
    "TESLA_S": Plug("Tesla", "DC", 500),
    "PANTOGRAPH_BOTTOM_UP": Plug("Pantograph, from the roof up", "DC", 1000),
    "PANTOGRAPH_TOP_DOWN": Plug("Pantograph, from the mast down", "DC", 1000),
    "IEC_62196_T2": Plug("Type 2", "AC_3_PHASE", 400),
    "IEC_62196_T1": Plug("Type 1", "AC_1_PHASE", 230),
    "IEC_62196_T3A": Plug("Type 3A", "AC_1_PHASE", 230),
    "IEC_62196_T3C": Plug("Type 3C", "AC_3_PHASE", 400),
    "IEC_60309_2_single_16": Plug("CEE blue 16 A", "AC_1_PHASE", 230),
    "IEC_60309_2_three_16": Plug("CEE red 16 A", "AC_3_PHASE", 400),
    "IEC_60309_2_three_32": Plug("CEE red 32 A", "AC_3_PHASE", 400),
    "IEC_60309_2_three_64": Plug("CEE red 64 A", "AC_3_PHASE", 400),
    "DOMESTIC_F": Plug("Schuko", "AC_1_PHASE", 230),
}

VEHICLE_TYPES: Final = {
    "SEMI_TRACTOR": "Semi-tractor",
    "RIGID": "Rigid truck",
    "TRUCK_WITH_TRAILER": "Truck with trailer",
    "BUS": "Bus",
    "VAN": "Van",
    "PERSONAL_VEHICLE": "Car",
    "PERSONAL_VEHICLE_WITH_TRAILER": "Car with trailer",
    "MOTORCYCLE": "Motorcycle",
    "DISABLED": "Adapted for a disabled driver",
}

PROTOCOLS: Final = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")

# ISO 3166-1 alpha-3, as OCPI writes the country of a place, beside alpha-2, as it writes the country of a party.
_ALPHA_3_AND_2 = (
    "ABW:AW AFG:AF AGO:AO AIA:AI ALA:AX ALB:AL AND:AD ARE:AE ARG:AR ARM:AM ASM:AS ATA:AQ ATF:TF ATG:AG AUS:AU AUT:AT "
    "AZE:AZ BDI:BI BEL:BE BEN:BJ BES:BQ BFA:BF BGD:BD BGR:BG BHR:BH BHS:BS BIH:BA BLM:BL BLR:BY BLZ:BZ BMU:BM BOL:BO "
    "BRA:BR BRB:BB BRN:BN BTN:BT BVT:BV BWA:BW CAF:CF CAN:CA CCK:CC CHE:CH CHL:CL CHN:CN CIV:CI CMR:CM COD:CD COG:CG "
    "COK:CK COL:CO COM:KM CPV:CV CRI:CR CUB:CU CUW:CW CXR:CX CYM:KY CYP:CY CZE:CZ DEU:DE DJI:DJ DMA:DM DNK:DK DOM:DO "
    "DZA:DZ ECU:EC EGY:EG ERI:ER ESH:EH ESP:ES EST:EE ETH:ET FIN:FI FJI:FJ FLK:FK FRA:FR FRO:FO FSM:FM GAB:GA GBR:GB "
    "GEO:GE GGY:GG GHA:GH GIB:GI GIN:GN GLP:GP GMB:GM GNB:GW GNQ:GQ GRC:GR GRD:GD GRL:GL GTM:GT GUF:GF GUM:GU GUY:GY "
    "HKG:HK HMD:HM HND:HN HRV:HR HTI:HT HUN:HU IDN:ID IMN:IM IND:IN IOT:IO IRL:IE IRN:IR IRQ:IQ ISL:IS ISR:IL ITA:IT "
    "JAM:JM JEY:JE JOR:JO JPN:JP KAZ:KZ KEN:KE KGZ:KG KHM:KH KIR:KI KNA:KN KOR:KR KWT:KW LAO:LA LBN:LB LBR:LR LBY:LY "
    "LCA:LC LIE:LI LKA:LK LSO:LS LTU:LT LUX:LU LVA:LV MAC:MO MAF:MF MAR:MA MCO:MC MDA:MD MDG:MG MDV:MV MEX:MX MHL:MH "
    "MKD:MK MLI:ML MLT:MT MMR:MM MNE:ME MNG:MN MNP:MP MOZ:MZ MRT:MR MSR:MS MTQ:MQ MUS:MU MWI:MW MYS:MY MYT:YT NAM:NA "
    "NCL:NC NER:NE NFK:NF NGA:NG NIC:NI NIU:NU NLD:NL NOR:NO NPL:NP NRU:NR NZL:NZ OMN:OM PAK:PK PAN:PA PCN:PN PER:PE "
    "PHL:PH PLW:PW PNG:PG POL:PL PRI:PR PRK:KP PRT:PT PRY:PY PSE:PS PYF:PF QAT:QA REU:RE ROU:RO RUS:RU RWA:RW SAU:SA "
    "SDN:SD SEN:SN SGP:SG SGS:GS SHN:SH SJM:SJ SLB:SB SLE:SL SLV:SV SMR:SM SOM:SO SPM:PM SRB:RS SSD:SS STP:ST SUR:SR "
    "SVK:SK SVN:SI SWE:SE SWZ:SZ SXM:SX SYC:SC SYR:SY TCA:TC TCD:TD TGO:TG THA:TH TJK:TJ TKL:TK TKM:TM TLS:TL TON:TO "
    "TTO:TT TUN:TN TUR:TR TUV:TV TWN:TW TZA:TZ UGA:UG UKR:UA UMI:UM URY:UY USA:US UZB:UZ VAT:VA VCT:VC VEN:VE VGB:VG "
    "VIR:VI VNM:VN VUT:VU WLF:WF WSM:WS XKX:XK YEM:YE ZAF:ZA ZMB:ZM ZWE:ZW "
)
COUNTRIES: Final = dict(pair.split(":") for pair in _ALPHA_3_AND_2.split())
