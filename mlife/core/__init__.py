"""The kernel: events, decisions, projections, handlers, and the ports that the outside world plugs into."""
