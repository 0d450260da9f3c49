"""The simulated partner is tried against our own platform, with the fixtures of roaming."""

from tests.roaming.conftest import clock as clock
from tests.roaming.conftest import platform as platform
