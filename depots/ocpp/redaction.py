"""A charger's own password among its settings: it is stored hashed, and nowhere else."""

# OCPP 1.6 security whitepaper, and SecurityCtrlr of 2.x.
SETTINGS = ("authorizationkey", "basicauthpassword")
WITHHELD = "[withheld: it may hold a password]"


def is_named_in(text: str) -> bool:
    """May this frame, or the setting of this name, hold a charger's password?"""
    folded = text.lower()
    return any(setting in folded for setting in SETTINGS)
