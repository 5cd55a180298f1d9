create table songs (
    song_id bigint primary key,
    title text not null,
    artist text,
    tempo integer
);
