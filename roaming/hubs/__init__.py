"""Partners that connect many parties: which these are, which of them can be reached, and what follows for our messages."""
