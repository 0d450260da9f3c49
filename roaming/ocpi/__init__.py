"""OCPI: the only place that knows its names."""
