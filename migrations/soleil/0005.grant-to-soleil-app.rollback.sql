-- The role itself stays: it belongs to the cluster, and other databases may use it.
do $$
begin
    if to_regrole('soleil_app') is not null then
        revoke all on users, songs, bands, band_members from soleil_app;
        execute format('revoke all on schema %I from soleil_app', current_schema());
    end if;
end
$$;
