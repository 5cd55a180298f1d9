-- depends: 0002.create-chats

-- Full-text search over titles and over every text in the content, whatever its structure. PostgreSQL
-- holds at most 1 MB of words of one chat; of a longer one the beginning is found, instead of the import
-- being refused.

create function chat_words(title text, content jsonb) returns tsvector
language plpgsql
immutable
strict
as $$
begin
    return setweight(to_tsvector('simple', title), 'A')
        || setweight(jsonb_to_tsvector('simple', content, '["string"]'), 'B');
exception
    when program_limit_exceeded then
        return setweight(to_tsvector('simple', left(title, 10000)), 'A')
            || setweight(to_tsvector('simple', left(content::text, 100000)), 'B');
end
$$;

-- The table is new, and small wherever this runs.
-- squawk-ignore require-concurrent-index-creation
create index chats_title_content_idx on chats using gin (chat_words(title, content));
