"""OCPP: the gateway that chargers connect to, and chargers to try it with. Only the two commands load this."""
