"""The edge: decode, authorise, then submit a command or read. One file per area."""
