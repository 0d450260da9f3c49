"""A hub: it connects platforms that each know it alone, and passes their messages on (OCPI, Message routing).

Each platform registers with it, or it with them; simulated partners may stand behind it from the start. Like the simulated
partner it shares no code with Berth's OCPI, needs no database, and keeps its state in JSON files: `python -m simulators.hub
--help`.
"""

from simulators.hub.hub import HubParty, SimulatedHub

__all__ = ["HubParty", "SimulatedHub"]
