"""Serve the sample pages for a look at them: `python -m tests.ui.sample [port]`, then open `/-/gallery`."""

import sys

import uvicorn
from fastapi import FastAPI

from mlife import ui
from tests.ui.sample import pages

app = FastAPI()
app.include_router(pages.router)
ui.mount(app)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 8001, log_level="warning")
