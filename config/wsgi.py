"""Pages and APIs, for a WSGI server."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from config.requests import Handler  # noqa: E402 - Django must stand first

application = Handler()
