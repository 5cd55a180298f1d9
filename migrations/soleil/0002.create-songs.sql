-- depends: 0001.create-users

-- A user's repertoire. A user who has songs cannot be deleted: the foreign key keeps a repertoire from
-- being lost with an account. What is not known of a song (its key, its tempo, its chart) is null.

create table songs (
    song_id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    title text not null,
    artist text,
    key text,
    -- Between 20 and 400, as the check below says.
    -- squawk-ignore prefer-bigint-over-int
    tempo integer,
    genre text,
    rhythm text,
    time_signature text,
    chart jsonb,
    chart_types text[] not null default '{}',
    drive_file_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint songs_pkey primary key (song_id),
    constraint songs_user_id_fkey foreign key (user_id) references users (user_id),
    constraint songs_drive_file_id_key unique (drive_file_id),
    constraint songs_title_check check (title <> ''),
    constraint songs_tempo_check check (tempo between 20 and 400),
    -- is not distinct from: a chart without sections yields null here, which a check would let pass.
    constraint songs_chart_check check (
        chart is null or jsonb_typeof(chart -> 'sections') is not distinct from 'array'
    ),
    constraint songs_chart_types_check check (
        chart_types <@ array['guitar', 'bass', 'drums', 'keys', 'vocals', 'horns', 'strings', 'lead']
    )
);

-- Serves the foreign key too: user_id comes first.
create index songs_user_id_title_idx on songs (user_id, title);
create index songs_artist_idx on songs (artist);
create index songs_created_at_idx on songs (created_at);
create index songs_title_artist_idx
on songs using gin (to_tsvector('simple', title || ' ' || coalesce(artist, '')));
