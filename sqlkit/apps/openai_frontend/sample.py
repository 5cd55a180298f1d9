"""Usage to show and to load with: invented, plausible, and the same for the same seed.

More by day than by night and on workdays than at weekends; few who use much and many who use little.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlkit.apps.openai_frontend.models import NewUsage

__all__ = ["SAMPLE_MODELS", "sample_usage"]

#: What a thousand tokens cost of each model, and how often it is asked.
SAMPLE_MODELS = {"small": (Decimal("0.0005"), 12), "medium": (Decimal("0.003"), 5), "large": (Decimal("0.015"), 2)}
ENDPOINTS = ("/v1/chat/completions", "/v1/chat/completions", "/v1/chat/completions", "/v1/embeddings")
STATUS_CODES = (200,) * 96 + (429, 429, 400, 500)
HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 20, 18, 15, 18, 20, 19, 17, 13, 9, 7, 6, 5, 3, 2)
DAYS = (10, 11, 11, 10, 8, 3, 2)


def sample_usage(
    count: int, user_ids: Sequence[int], *, until: datetime, days: int = 90, seed: int = 0
) -> Iterator[NewUsage]:
    """Yield so many calls of the days before ``until``, in no order, of these users."""
    chosen = random.Random(seed)  # noqa: S311  to be the same each time
    today = until.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    dates = [today - timedelta(days=back) for back in range(1, days + 1)]
    busy = [DAYS[day.weekday()] for day in dates]
    diligence = [1 / (place + 1) for place in range(len(user_ids))]
    models = tuple(SAMPLE_MODELS)
    shares = [SAMPLE_MODELS[model][1] for model in models]
    for _ in range(count):
        day = chosen.choices(dates, busy)[0]
        hour = chosen.choices(range(24), HOURS)[0]
        model = chosen.choices(models, shares)[0]
        prompt, answer = int(chosen.lognormvariate(5.5, 1)), int(chosen.lognormvariate(5, 1))
        yield NewUsage(
            user_id=chosen.choices(user_ids, diligence)[0],
            endpoint=chosen.choice(ENDPOINTS),
            model=model,
            prompt_tokens=prompt,
            completion_tokens=answer,
            cost=SAMPLE_MODELS[model][0] * (prompt + answer) / 1000,
            status_code=chosen.choice(STATUS_CODES),
            latency_ms=50 + answer * 3 + chosen.randrange(200),
            created_at=day + timedelta(hours=hour, milliseconds=chosen.randrange(3_600_000)),
        )
