"""When something follows from an event: each module is named by the feature of its trigger."""

if __name__ != "mlife.handlers":
    raise ImportError(f"import mlife.handlers, not {__name__}: a second copy would register every handler twice")
