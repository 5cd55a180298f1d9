-- The extension stays: other schemas may use it. So there is nothing to do.
select 1;
