"""What a stranger has who knows only Berth's outside: its commands, a charger, a partner network and a browser.

Nothing here imports Berth. Chargers are plain WebSockets and JSON, partners plain HTTP, the rest the commands' own words.
"""
