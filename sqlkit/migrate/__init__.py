from sqlkit.migrate.urls import database_url, yoyo_url

__all__ = ["database_url", "yoyo_url"]
