"""Tables of segments: rows, tables of other tools, what is plausible, what is covered."""
