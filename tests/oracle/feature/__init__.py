"""Purses: payments that race, sightings that come in floods, receipts that handlers write. Installed for a run only."""
