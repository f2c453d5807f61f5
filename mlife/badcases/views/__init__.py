"""What can be read of badcases: tables, the query language's fields, and the queries of pages, handlers and commands."""
