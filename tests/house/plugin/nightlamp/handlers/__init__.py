"""What follows from failures in the dark."""
