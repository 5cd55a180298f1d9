create type mood as enum ('happy', 'sad', 'calm');

create table owners (
    owner_id bigint primary key,
    name text not null,
    mail text
);

create table songs (
    song_id bigint primary key,
    owner_id bigint references owners,
    title text not null,
    artist text,
    mood mood not null,
    genre text not null,
    price numeric not null,
    recorded_at timestamp not null
);
