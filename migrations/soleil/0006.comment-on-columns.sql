-- depends: 0002.create-songs 0003.create-bands

-- What a name and a type do not say: the diagram of the documentation shows it, and so does psql's \d+.

comment on column users.email is 'something@something, no blank';
comment on column users.google_id is 'not empty';
comment on column users.display_name is 'not empty';
comment on column users.profile_data is 'an object';

comment on column songs.title is 'not empty';
comment on column songs.key is 'F major, C minor';
comment on column songs.tempo is '20 to 400';
comment on column songs.chart is 'sections with chords';
comment on column songs.chart_types is 'of guitar, bass, drums, keys, vocals, horns, strings, lead';

comment on column bands.name is 'not empty';

comment on column band_members.role is 'leader, member, guest';
