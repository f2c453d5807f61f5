"""When read models change: each module folds events into the query tables of one feature."""

if __name__ != "mlife.projections":
    raise ImportError(f"import mlife.projections, not {__name__}: a second copy would register every projection twice")
