-- name: create_log
-- The new line. Where the partition of its day is missing, log_system_event makes it.
insert into system_logs (service, level, message, details, created_at)
values (:log.service, :log.level, :log.message, :log.details, coalesce(:log.created_at, now()))
returning log_id, service, level, message, details, created_at, updated_at;

-- name: import_logs
-- Many at once, each with its time, all or nothing; see import_log_lines, which makes missing partitions.
copy system_logs (service, level, message, details, created_at) from stdin;

-- name: get_log
-- One line, by its id and time: the time says which partition is looked at.
select log_id, service, level, message, details, created_at, updated_at
from system_logs
where log_id = :log_id and created_at = :created_at;

-- name: update_log
-- The line after the changes that are given; no row where there is none. Its time stays.
update system_logs
set
    service = :changes.service,   --? optional
    level = :changes.level,       --? optional
    message = :changes.message,   --? optional
    details = :changes.details,   --? optional
    updated_at = now()
where log_id = :log_id and created_at = :created_at
returning log_id, service, level, message, details, created_at, updated_at;

-- name: delete_log
-- Deletes one line. Many go with their partition: drop_partitions.
delete from system_logs
where log_id = :log_id and created_at = :created_at;

-- name: list_logs
-- A page of lines, narrowed by whichever filters are given: behind the last one of the page before, or behind
-- the first :skip ones. The times choose the partitions that are looked at.
select log_id, service, level, message, details, created_at, updated_at
from system_logs
where
    true
    and service = :service         --? optional
    and level = any(:levels)       --? optional
    and created_at >= :since       --? optional
    and created_at < :until        --? optional
    and details @> :details        --? optional
    --? optional {
    and (created_at, log_id) < (:after.created_at, :after.log_id)       --| order: newest
    -- and (created_at, log_id) > (:after.created_at, :after.log_id)    --| order: oldest
    --? }
order by created_at desc, log_id desc                                   --| order: newest
-- order by created_at, log_id                                          --| order: oldest
limit :limit offset :skip;

-- name: count_logs
-- How many lines there are of each service and level between two times, in the partitions of these days.
select
    service,
    level,
    count(*) as lines
from system_logs
where created_at >= :since and created_at < :until
group by service, level
order by service, level;

-- name: count_logs_by_day
--@ replica: ok
-- How many lines each day of UTC has of a service, between two times.
select
    date_trunc('day', created_at, 'UTC') as day,
    count(*) as lines
from system_logs
where service = :service and created_at >= :since and created_at < :until
group by day
order by day;
