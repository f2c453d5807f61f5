"""
The benchmarks behind `make bench-cluster`: each figure of issue 4, measured on the servers that the settings name.

They need the cluster size configured (`make bench-cluster` starts everything); each makes a schema of its own in the
database and topics with a prefix of its own, and drops them.
"""
