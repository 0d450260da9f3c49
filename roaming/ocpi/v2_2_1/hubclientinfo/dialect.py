"""Client infos of 2.2.1: those of 2.3.0."""

from roaming.ocpi.v2_3_0.hubclientinfo.dialect import read

__all__ = ["read"]
