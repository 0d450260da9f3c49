"""What people may send from the pages: one module a subject."""
