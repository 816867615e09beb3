"""Hand a lecture out, collect it again, and grade what came back without trusting it."""
