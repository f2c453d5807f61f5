"""The scripted loop on real data, with the user's own training and testing code as it would be written."""
