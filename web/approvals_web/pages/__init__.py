"""HTML for people: session cookie only, never a bearer key."""

from fastapi import APIRouter, FastAPI

router = APIRouter()


def mount_static(app: FastAPI) -> None:
    """Serve the vendored assets."""
