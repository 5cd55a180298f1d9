"""openai_frontend over HTTP: ``uvicorn sqlkit.apps.openai_frontend.http:app``."""

from sqlkit.apps.openai_frontend.http.application import app, create_app

__all__ = ["app", "create_app"]
