"""One file per technology: `<port>_<technology>.py`. Only `mlife.runtime` imports these."""
