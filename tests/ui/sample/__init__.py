"""A made-up feature: a list, a detail page and a page of all parts. It is written as real features are."""
