"""Model Training and Testing (MTT): tasks that run the users' own code."""
