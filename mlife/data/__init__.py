"""DAM, data analysis and management: files, documents (tables of labelled files) and groups."""
