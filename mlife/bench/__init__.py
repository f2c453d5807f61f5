"""
The benchmarks behind `make bench`: each figure of issue 3, measured as a ratio in one run or as a plain number.

A figure is a function with `@figure("group")`; `mlife bench <group> …` runs some of them. Two ways that are compared
take turns, and the median of the turns' ratios counts, so that a machine that is busy elsewhere slows both.
"""
