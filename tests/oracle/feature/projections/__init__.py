"""The projections of purses."""
