"""Versions and credentials of 2.3.0, as the core asks for them (roaming/ocpi/modules/registration.py)."""

from roaming.ocpi.v2_3_0.credentials.mapping import read_credentials, write_credentials
from roaming.ocpi.v2_3_0.versions.mapping import endpoints, read_endpoints, write_endpoints

__all__ = ["endpoints", "read_credentials", "read_endpoints", "write_credentials", "write_endpoints"]
