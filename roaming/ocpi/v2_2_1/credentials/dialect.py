"""Versions and credentials of 2.2.1, as the core asks for them (roaming/ocpi/modules/registration.py)."""

from roaming.ocpi.v2_2_1.credentials.mapping import read_credentials, write_credentials
from roaming.ocpi.v2_2_1.versions.mapping import endpoints, write_endpoints
from roaming.ocpi.v2_3_0.versions.mapping import read_endpoints

__all__ = ["endpoints", "read_credentials", "read_endpoints", "write_credentials", "write_endpoints"]
