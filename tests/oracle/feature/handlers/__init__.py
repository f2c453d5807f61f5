"""The handlers of purses."""
