-- name: create_tool
-- The new tool. An unknown user is a ForeignKeyViolation.
insert into tool_generations (user_id, tool_type, status, prompt, output)
values (:tool.user_id, :tool.tool_type, :tool.status, :tool.prompt, :tool.output)
returning tool_id, user_id, tool_type, status, prompt, output, created_at, updated_at;

-- name: import_tools
-- Many at once, all or nothing; says how many, not which ids they got.
copy tool_generations (user_id, tool_type, status, prompt, output) from stdin;

-- name: get_tool
-- One tool, by its id.
select tool_id, user_id, tool_type, status, prompt, output, created_at, updated_at
from tool_generations
where tool_id = :tool_id;

-- name: update_tool
-- The tool after the changes that are given; no row where there is none.
update tool_generations
set
    tool_type = :changes.tool_type,   --? optional
    status = :changes.status,         --? optional
    prompt = :changes.prompt,         --? optional
    output = :changes.output,         --? optional
    updated_at = now()
where tool_id = :tool_id
returning tool_id, user_id, tool_type, status, prompt, output, created_at, updated_at;

-- name: delete_tool
-- Deletes one tool.
delete from tool_generations
where tool_id = :tool_id;

-- name: list_tools
-- A page of tools, narrowed by whichever filters are given: behind the last one of the page before, which
-- costs the same wherever it is, or behind the first :skip ones, which are read.
select tool_id, user_id, tool_type, status, prompt, output, created_at, updated_at
from tool_generations
where
    true
    and user_id = :user_id       --? optional
    and status = :status         --? optional
    and tool_type = :tool_type   --? optional
    and created_at >= :since     --? optional
    and created_at < :until      --? optional
    --? optional {
    and (created_at, tool_id) < (:after.created_at, :after.tool_id)      --| order: newest
    -- and (created_at, tool_id) > (:after.created_at, :after.tool_id)   --| order: oldest
    --? }
order by created_at desc, tool_id desc                                   --| order: newest
-- order by created_at, tool_id                                          --| order: oldest
limit :limit offset :skip;

-- name: count_tools
-- How many there are, narrowed as in list_tools.
with found as (
    select tool_id
    from tool_generations
    where
        true
        and user_id = :user_id       --? optional
        and status = :status         --? optional
        and tool_type = :tool_type   --? optional
        and created_at >= :since     --? optional
        and created_at < :until      --? optional
)

select count(*) as tools
from found;
