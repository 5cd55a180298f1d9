"""Analysis over HTTP: ``uvicorn sqlkit.apps.analysis.http:app``."""

from sqlkit.apps.analysis.http.application import app, create_app

__all__ = ["app", "create_app"]
