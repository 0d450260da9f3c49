"""Does an OCPI implementation with Bookings keep to the specification, as far as that can be judged from outside?

It registers as a partner, with a server of its own, asks and sends what the checklist in docs/integrators/conformance.md
lists, and takes back what it booked. It shares no code with Berth, whose own conformance it judges like anybody's:
`python -m conformance --versions-url URL --token TOKEN_A`.
"""
