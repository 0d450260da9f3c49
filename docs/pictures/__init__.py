"""The pictures of the README and the guides, taken from a running demo.

`make pictures` runs `python -m docs.pictures`: a demo of its own from nothing, on free ports and in a folder that is
thrown away, then each page as the people of the demo see it. The demo data are the same every time but for their
dates, so the pictures differ by what the clock shows.
"""
