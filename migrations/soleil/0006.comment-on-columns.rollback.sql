comment on column band_members.role is null;

comment on column bands.name is null;

comment on column songs.chart_types is null;
comment on column songs.chart is null;
comment on column songs.tempo is null;
comment on column songs.key is null;
comment on column songs.title is null;

comment on column users.profile_data is null;
comment on column users.display_name is null;
comment on column users.google_id is null;
comment on column users.email is null;
