"""Models, deployments and inference, as pages, JSON and the Open Inference Protocol."""

from pathlib import Path

from fastapi import APIRouter, Request

from mlife.serving import views
from mlife.serving.pages.acting import router as acting_routes
from mlife.serving.pages.deployments import router as deployments_routes
from mlife.serving.pages.inference import router as inference_routes
from mlife.serving.pages.models import router as models_routes
from mlife.ui import look, rail, templates_from

templates_from("serving", Path(__file__).parent.parent / "templates")

look("not judged", "created", shape="ring")
look("replaced", shape="dot")
look("override", shape="diamond")


def _models(request: Request) -> int:
    with request.app.state.home.ports.views.read() as read:
        return views.count_models(read)


def _deployments(request: Request) -> int:
    """How many answer now."""
    with request.app.state.home.ports.views.read() as read:
        return len(views.answering(read))


rail("Models", "/models", order=40, count=_models)
rail("Deployments", "/deployments", order=45, count=_deployments)

router = APIRouter()
for part in (models_routes, deployments_routes, acting_routes, inference_routes):
    router.include_router(part)
