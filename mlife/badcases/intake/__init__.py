"""Intake: what comes from outside is read, judged item by item, and taken into the log, the same at every door."""
