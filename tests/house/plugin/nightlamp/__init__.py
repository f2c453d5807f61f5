"""Lights a lamp where a model fails in the dark: a sample of a package that extends MLife."""
