"""All that was seen of a server as one HTML page that needs nothing else."""

from sqlkit.operations.page.whole import html_report

__all__ = ["html_report"]
