-- name: list_replicas
-- The standbys that are connected, and how far each is behind: in bytes of write-ahead log, and in seconds
-- where it is at something. Without pg_read_all_stats the rest but process, role and name is hidden.
with
positions as (
    select
        case
            when pg_is_in_recovery() then pg_last_wal_receive_lsn()
            else pg_current_wal_lsn()
        end as written
)

select
    replicas.pid,
    replicas.usename as user_name,
    replicas.application_name,
    replicas.state,
    replicas.sync_state as synchronous,
    host(replicas.client_addr) as client_address,
    pg_wal_lsn_diff(positions.written, replicas.sent_lsn)::bigint as unsent_bytes,
    pg_wal_lsn_diff(positions.written, replicas.flush_lsn)::bigint as unflushed_bytes,
    pg_wal_lsn_diff(positions.written, replicas.replay_lsn)::bigint as unreplayed_bytes,
    extract(epoch from replicas.write_lag)::float8 as write_lag_seconds,
    extract(epoch from replicas.flush_lag)::float8 as flush_lag_seconds,
    extract(epoch from replicas.replay_lag)::float8 as replay_lag_seconds,
    replicas.state is null as is_hidden
from pg_stat_replication as replicas
cross join positions
order by replicas.application_name, replicas.pid;

-- name: list_slots
-- The replication slots, with the write-ahead log that each keeps from being removed.
select
    slots.slot_name as name,
    slots.slot_type as kind,
    slots.database as database_name,
    slots.wal_status as state,
    coalesce(slots.active, false) as is_active,
    pg_wal_lsn_diff(
        case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
        slots.restart_lsn
    )::bigint as kept_bytes
from pg_replication_slots as slots
order by slots.slot_name;

-- name: find_standby
-- How far this server, where it is a standby, is behind what it received, and since when; no row on a
-- primary. A primary at which nothing happens sends nothing: the seconds count only where something is to
-- be replayed.
select
    standby.is_paused,
    standby.received::text as received,
    standby.replayed::text as replayed,
    pg_wal_lsn_diff(standby.received, standby.replayed)::bigint as unreplayed_bytes,
    case
        when standby.received = standby.replayed then 0.0
        else extract(epoch from clock_timestamp() - standby.replayed_at)::float8
    end as lag_seconds,
    exists(select from pg_stat_wal_receiver) as is_receiving
from (
    select
        pg_is_wal_replay_paused() as is_paused,
        pg_last_wal_receive_lsn() as received,
        pg_last_wal_replay_lsn() as replayed,
        pg_last_xact_replay_timestamp() as replayed_at
    where pg_is_in_recovery()
) as standby;
