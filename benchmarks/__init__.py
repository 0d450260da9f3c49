"""Ratios between two things measured in one run; `make bench` prints one JSON object a line."""
