"""The demo: three fleets, two depot operators, six depots and several weeks of bookings around today.

Made through the same files and operations as anybody's data, with a clock that runs from the first day to now. What is
there is a function of the day it was first loaded; see config.demo_data.loading.
"""

from config.demo_data.loading import PASSWORD, Loaded, load

__all__ = ["PASSWORD", "Loaded", "load"]
