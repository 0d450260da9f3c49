"""Settings of a server that benchmarks compare with itself: all as in use, and the bare views beside our addresses."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.bare_views"
