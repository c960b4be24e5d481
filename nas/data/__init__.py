"""A user's data set: reading, checking, splitting, decoding once."""
