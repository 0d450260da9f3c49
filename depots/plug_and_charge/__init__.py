"""Contract certificates of vehicles (ISO 15118), as far as a central system can check them."""
