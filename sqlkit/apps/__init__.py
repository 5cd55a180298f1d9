"""Applications on sqlkit, each a whole data layer: ``migrations/<app>``, ``sql/<app>`` and ``sqlkit.apps.<app>``.

``SQL`` and ``MIGRATIONS`` are the two folders, in the repository or in the installed package.
"""

from __future__ import annotations

from sqlkit.folders import MIGRATIONS, SQL

__all__ = ["MIGRATIONS", "SQL"]
