"""History: the event timeline of anything, and its proofs."""
