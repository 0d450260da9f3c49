"""What the core asks of each module of OCPI, a file and a Protocol each; a version fulfils it in the folder of that module.

`read*` raise UnreadableError, and name what they forgave in `Read.deviations`. `style` is what a partner's
switches change about what it gets (roaming/ocpi/style.py).
"""
