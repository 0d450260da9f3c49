"""Calling the systems of organisations: each event of their feed to each of their webhooks, until it is there."""
