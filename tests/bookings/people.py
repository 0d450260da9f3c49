"""Somebody who is signed in, as a test client."""

from django.test import Client

from depots.models import User


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client
