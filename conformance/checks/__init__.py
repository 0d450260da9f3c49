"""The checks, a module a part of the checklist; each lists its lines in the order in which they are carried out."""
