"""OCPP 2.x: what 2.0.1 and 2.1 share, and each of the two as a Dialect: `v201`, `v21`."""
