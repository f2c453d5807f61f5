"""What can be read of badcases: tables, the fields that can be asked about, and the queries of pages and handlers."""
