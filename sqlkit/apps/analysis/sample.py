"""People, analyses, files and tools to show: invented, plausible, and the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlkit.apps.analysis.models import NewAnalysis, NewFile, NewTool, WorkStatus

__all__ = ["SAMPLE_DOMAIN", "SAMPLE_NAMES", "sample_analyses", "sample_files", "sample_tools"]

#: The addresses of all invented people.
SAMPLE_DOMAIN = "insight.example"

SAMPLE_NAMES = ("alva", "benoit", "carmen", "dimitri", "elif", "fausto", "greta", "hiro")

SUBJECTS = ("sales by region", "sensor drift", "churn", "energy use", "survey answers", "delivery times", "web traffic")
METHODS = ("mean", "median", "regression", "clustering", "seasonality")
TOOL_TYPES = ("chart", "calculator", "dashboard", "form")
ENDS = {
    WorkStatus.COMPLETED: 70,
    WorkStatus.FAILED: 10,
    WorkStatus.PENDING: 10,
    WorkStatus.RUNNING: 7,
    WorkStatus.CANCELLED: 3,
}


def sample_analyses(count: int, user_ids: Sequence[UUID], *, seed: int = 0) -> Iterator[NewAnalysis]:
    """Yield so many analyses of these users: few who have many made, and many who have few."""
    chosen = random.Random(f"analyses {seed}")  # noqa: S311  to be the same each time
    diligence = [1 / (place + 1) for place in range(len(user_ids))]
    for _ in range(count):
        method, rows = chosen.choice(METHODS), int(chosen.lognormvariate(8, 1.5))
        status = chosen.choices(list(ENDS), list(ENDS.values()))[0]
        result: dict[str, Any] | None = None
        if status is WorkStatus.COMPLETED:
            result = {method: round(chosen.gauss(100, 20), 3), "seconds": round(rows / 9000, 2)}
        elif status is WorkStatus.FAILED:
            result = {"error": chosen.choice(("column missing", "too few rows", "out of memory"))}
        yield NewAnalysis(
            user_id=chosen.choices(user_ids, diligence)[0],
            title=f"{method.capitalize()} of {chosen.choice(SUBJECTS)}",
            status=status,
            parameters={"method": method, "rows": rows},
            result=result,
        )


def sample_files(analysis_ids: Sequence[UUID], *, seed: int = 0) -> Iterator[NewFile]:
    """Yield one to three files for each analysis."""
    chosen = random.Random(f"files {seed}")  # noqa: S311  to be the same each time
    for analysis_id in analysis_ids:
        for number in range(chosen.randint(1, 3)):
            kind = chosen.choices(("csv", "parquet", "xlsx", "json"), (6, 3, 2, 1))[0]
            yield NewFile(
                analysis_id=analysis_id,
                file_name=f"part-{number}.{kind}",
                file_type=kind,
                size_bytes=max(1, int(chosen.lognormvariate(12, 2))),
                storage_path=f"/uploads/{analysis_id}/{number}.{kind}",
            )


def sample_tools(count: int, user_ids: Sequence[UUID], *, seed: int = 0) -> Iterator[NewTool]:
    """Yield so many tools of these users."""
    chosen = random.Random(f"tools {seed}")  # noqa: S311  to be the same each time
    for _ in range(count):
        kind = chosen.choice(TOOL_TYPES)
        yield NewTool(
            user_id=chosen.choice(user_ids),
            tool_type=kind,
            status=chosen.choices(list(ENDS), list(ENDS.values()))[0],
            prompt=f"a {kind} for {chosen.choice(SUBJECTS)}",
        )
