"""
The oracle: real processes on real components, killed at random, and afterwards judged event by event.

    python -m tests.oracle --seed 7 --kills 30 --size cluster

- `feature/` is an installed feature whose events, tables and effects can be predicted from the log alone;
- `parts` are the processes that write, read and follow, and journal what they tried and what they were told;
- `processes` starts everything, `faults` breaks it by a schedule that follows from the seed;
- `verdict` compares journals, log, topics, query tables and effects. What it says is a list of sentences: none is good.
"""
