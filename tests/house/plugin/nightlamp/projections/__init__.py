"""When the table of lamps changes."""
