"""Who is told what, and how: the feed of an organisation's own systems, people's inboxes and mails, calendars.

Nothing of it is written in a booking's transaction: `telling` reads the events behind it (docs/decisions/0154).
"""
