"""Files an operator brings: read, checked whole, and written all or not at all."""
