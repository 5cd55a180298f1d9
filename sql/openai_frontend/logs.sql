-- name: write_log
-- The new line. One of a month without a partition is a CheckViolation without a constraint's name.
insert into logs (level, logger, message, context, created_at)
values (:line.level, :line.logger, :line.message, :line.context, :line.created_at)
returning log_id, level, logger, message, context, created_at;

-- name: copy_logs
-- The fastest way in for many lines; says how many. All or nothing.
copy logs (level, logger, message, context, created_at) from stdin;

-- name: list_logs
-- A page of the lines from `since` until before `until`, the newest first, of at least a level; `after` is
-- the last line of the page before. Reads the partitions of these months alone.
select log_id, level, logger, message, context, created_at
from logs
where
    created_at >= :since
    and created_at < :until
    and level >= :at_least                                                  --? optional
    and logger = :logger                                                    --? optional
    and strpos(lower(message), lower(:containing)) > 0                      --? optional
    and (created_at, log_id) < (:after.created_at, :after.log_id)           --? optional
order by created_at desc, log_id desc
limit :limit;

-- name: count_logs_by_level
--@ replica: ok
-- How many lines there are of each level from `since` until before `until`, the gravest first.
select
    level,
    count(*) as lines
from logs
where created_at >= :since and created_at < :until
group by level
order by level desc;

-- name: count_logs_by_day
--@ replica: ok
-- How many lines there are of each logger on each day (UTC) that has any, from `since` until before `until`.
select
    logger,
    (created_at at time zone 'UTC')::date as day,
    count(*) as lines
from logs
where created_at >= :since and created_at < :until
group by day, logger
order by day, logger;
