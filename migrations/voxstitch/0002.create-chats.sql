-- depends: 0001.create-users

-- The chats that were imported, each with its content as the platform exports it. A user who has chats
-- cannot be deleted by accident: the foreign key keeps them.

create table chats (
    chat_id bigint not null generated always as identity,
    user_id bigint not null,
    title text not null,
    platform text not null,
    content jsonb not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chats_pkey primary key (chat_id),
    constraint chats_user_id_fkey foreign key (user_id) references users (user_id),
    constraint chats_title_check check (title <> ''),
    constraint chats_platform_check check (
        platform in (
            'chatgpt', 'claude', 'gemini', 'copilot', 'discord', 'slack', 'telegram', 'whatsapp', 'messenger',
            'other'
        )
    ),
    constraint chats_content_check check (jsonb_typeof(content) in ('object', 'array'))
);

-- Serves the foreign key too: user_id comes first. Ids grow with time, so these give the newest first.
create index chats_user_id_chat_id_idx on chats (user_id, chat_id);
create index chats_platform_chat_id_idx on chats (platform, chat_id);
