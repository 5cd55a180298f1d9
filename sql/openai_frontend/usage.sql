-- name: record_usage
-- The new row. One of a month without a partition is a CheckViolation without a constraint's name.
insert into usage (
    user_id, api_key_id, endpoint, model, prompt_tokens, completion_tokens, cost, status_code, latency_ms,
    created_at
)
values (
    :call.user_id, :call.api_key_id, :call.endpoint, :call.model, :call.prompt_tokens,
    :call.completion_tokens, :call.cost, :call.status_code, :call.latency_ms, :call.created_at
)
returning
    usage_id, user_id, api_key_id, endpoint, model, prompt_tokens, completion_tokens, total_tokens,
    cost, status_code, latency_ms, created_at;

-- name: copy_usage
-- The fastest way in for many rows; says how many. All or nothing.
copy usage (
    user_id, api_key_id, endpoint, model, prompt_tokens, completion_tokens, cost, status_code, latency_ms,
    created_at
) from stdin;

-- name: list_usage
-- A page of the calls from `since` until before `until`, the newest first; `after` is the last one of the
-- page before. Reads the partitions of these months alone.
select
    usage_id, user_id, api_key_id, endpoint, model, prompt_tokens, completion_tokens, total_tokens,
    cost, status_code, latency_ms, created_at
from usage
where
    created_at >= :since
    and created_at < :until
    and user_id = :user_id                                                  --? optional
    and api_key_id = :api_key_id                                            --? optional
    and model = :model                                                      --? optional
    and (created_at, usage_id) < (:after.created_at, :after.usage_id)       --? optional
order by created_at desc, usage_id desc
limit :limit;

-- name: usage_per_day
--@ replica: ok
-- What was used on each day (UTC) that has any use, of each model, from `since` until before `until`, of one
-- user or of all. Reads the partitions of these months alone.
select
    model,
    (created_at at time zone 'UTC')::date as day,
    count(*) as calls,
    coalesce(sum(prompt_tokens), 0)::bigint as prompt_tokens,
    coalesce(sum(completion_tokens), 0)::bigint as completion_tokens,
    coalesce(sum(total_tokens), 0)::bigint as total_tokens,
    coalesce(sum(cost), 0) as cost
from usage
where
    created_at >= :since
    and created_at < :until
    and user_id = :user_id      --? optional
group by day, model
order by day, model;

-- name: usage_per_model
--@ replica: ok
-- What was used of each model from `since` until before `until`, of one user or of all, the dearest first.
select
    model,
    count(*) as calls,
    coalesce(sum(prompt_tokens), 0)::bigint as prompt_tokens,
    coalesce(sum(completion_tokens), 0)::bigint as completion_tokens,
    coalesce(sum(total_tokens), 0)::bigint as total_tokens,
    coalesce(sum(cost), 0) as cost
from usage
where
    created_at >= :since
    and created_at < :until
    and user_id = :user_id      --? optional
group by model
order by cost desc, model asc;

-- name: usage_per_user
--@ replica: ok
-- What each user used from `since` until before `until`, of one model or of all, the dearest first.
select
    user_id,
    count(*) as calls,
    coalesce(sum(prompt_tokens), 0)::bigint as prompt_tokens,
    coalesce(sum(completion_tokens), 0)::bigint as completion_tokens,
    coalesce(sum(total_tokens), 0)::bigint as total_tokens,
    coalesce(sum(cost), 0) as cost
from usage
where
    created_at >= :since
    and created_at < :until
    and model = :model          --? optional
group by user_id
order by cost desc, user_id asc
limit :limit;

-- name: get_total_usage
-- What was used from `since` until before `until`, of one user, one key or of all; zeros for no use.
select
    count(*) as calls,
    coalesce(sum(prompt_tokens), 0)::bigint as prompt_tokens,
    coalesce(sum(completion_tokens), 0)::bigint as completion_tokens,
    coalesce(sum(total_tokens), 0)::bigint as total_tokens,
    coalesce(sum(cost), 0) as cost
from usage
where
    created_at >= :since
    and user_id = :user_id          --? optional
    and api_key_id = :api_key_id    --? optional
    and created_at < :until;
