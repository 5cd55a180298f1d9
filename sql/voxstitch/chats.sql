-- name: create_chat
-- The new chat, without a look at the user's remaining imports. A user who does not exist is a
-- ForeignKeyViolation.
insert into chats (user_id, title, platform, content)
values (:chat.user_id, :chat.title, :chat.platform, :chat.content)
returning chat_id, user_id, title, platform, content, created_at, updated_at;

-- name: import_chat
-- The new chat, for one of the user's remaining imports; no row, and nothing written, when none is left or
-- there is no such user. Calls for one user wait for each other, so the last import is given once.
with paid as (
    update users
    set
        remaining_imports = remaining_imports - 1,
        updated_at = now()
    where user_id = :chat.user_id and remaining_imports > 0
    returning user_id
)

insert into chats (user_id, title, platform, content)
select
    paid.user_id,
    :chat.title as title,
    :chat.platform as platform,
    :chat.content as content
from paid
returning chat_id, user_id, title, platform, content, created_at, updated_at;

-- name: import_chats
-- The new chats in the order given, for as many of the user's remaining imports; no row, and nothing written,
-- when fewer are left. One statement, so the batch is imported whole or not at all.
with paid as (
    update users
    set
        remaining_imports = remaining_imports - jsonb_array_length(:chats),
        updated_at = now()
    where user_id = :user_id and remaining_imports >= jsonb_array_length(:chats)
    returning user_id
)

insert into chats (user_id, title, platform, content)
select
    paid.user_id,
    given.chat ->> 'title' as title,
    given.chat ->> 'platform' as platform,
    given.chat -> 'content' as content
from paid
cross join jsonb_array_elements(:chats) with ordinality as given (chat, place)
order by given.place
returning chat_id, user_id, title, platform, created_at, updated_at;

-- name: create_chats
-- The new chats in the order given, without their content: one pipelined batch, all or nothing.
insert into chats (user_id, title, platform, content)
values (:user_id, :title, :platform, :content)
returning chat_id, user_id, title, platform, created_at, updated_at;

-- name: copy_chats
-- The fastest way in for many chats; says how many, not which ids they got. All or nothing.
copy chats (user_id, title, platform, content) from stdin;

-- name: get_chat
-- One chat with its content.
select chat_id, user_id, title, platform, content, created_at, updated_at
from chats
where chat_id = :chat_id;

-- name: get_chat_heading
-- One chat without its content, which may be large and is not read.
select chat_id, user_id, title, platform, created_at, updated_at
from chats
where chat_id = :chat_id;

-- name: get_chat_with_user
-- One chat with its user, in one round trip.
select
    chats.chat_id,
    chats.user_id,
    chats.title,
    chats.platform,
    chats.content,
    chats.created_at,
    chats.updated_at,
    users.user_id as "user.user_id",
    users.email as "user.email",
    users.is_active as "user.is_active",
    users.is_guest as "user.is_guest",
    users.remaining_imports as "user.remaining_imports",
    users.created_at as "user.created_at",
    users.updated_at as "user.updated_at"
from chats
inner join users
    on chats.user_id = users.user_id
where chats.chat_id = :chat_id;

-- name: list_chats
-- A page of chats without their content, the newest first: behind `after`, the last id of the page before, or
-- behind the first `skip`.
select chat_id, user_id, title, platform, created_at, updated_at
from chats
where
    true
    and user_id = :user_id      --? optional
    and platform = :platform    --? optional
    and chat_id < :after        --? optional
order by chat_id desc
limit :limit offset :skip;

-- name: list_chats_by_platform
-- A page of a platform's chats with their content, the newest first.
select chat_id, user_id, title, platform, content, created_at, updated_at
from chats
where
    platform = :platform
    and chat_id < :after        --? optional
order by chat_id desc
limit :limit offset :skip;

-- name: count_chats_by_platform
--@ replica: ok
-- How many chats there are of each platform that has any, the most frequent first.
select
    platform,
    count(*) as chats
from chats
where
    true
    and user_id = :user_id      --? optional
group by platform
order by chats desc, platform asc;

-- name: search_chats
--@ replica: ok
-- The chats whose title or content has the words of the term, the best match first, without their content.
-- The term is written as for a web search: "exact words", or, -not; no term is an error.
select
    chat_id,
    user_id,
    title,
    platform,
    created_at,
    updated_at,
    ts_rank(chat_words(title, content), websearch_to_tsquery('simple', :term)) as rank
from chats
where
    chat_words(title, content) @@ websearch_to_tsquery('simple', :term)
    and user_id = :user_id      --? optional
    and platform = :platform    --? optional
order by rank desc, chat_id desc
limit :limit;

-- name: stream_chats
-- All chats of a user with their content, the oldest first, one after the other.
select chat_id, user_id, title, platform, content, created_at, updated_at
from chats
where user_id = :user_id
order by chat_id;

-- name: update_chat
-- The chat as it is after the changes that are given.
update chats
set
    title = :changes.title,         --? optional
    platform = :changes.platform,   --? optional
    content = :changes.content,     --? optional
    updated_at = now()
where chat_id = :chat_id
returning chat_id, user_id, title, platform, content, created_at, updated_at;

-- name: remove_chat
-- The removed chat. The import that it took is not given back.
delete from chats
where chat_id = :chat_id
returning chat_id, user_id, title, platform, content, created_at, updated_at;
