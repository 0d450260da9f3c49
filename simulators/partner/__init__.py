"""A partner network of its own: an OCPI 2.3.0 platform with bookable depots, and with trucks that book at others'.

It shares no code with Berth's OCPI and nothing of its database: what the two agree on is what the protocol says. State
lives in one JSON file, so that it can be stopped and started like any partner. Also useful alone, to somebody who
builds the other side: `python -m simulators.partner --help`.
"""

from simulators.partner.other_platform import PlatformError
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.platform import SimulatedPartner

__all__ = ["PartnerSettings", "PlatformError", "SimulatedPartner"]
