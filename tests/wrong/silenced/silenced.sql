-- name: delete_songs
--@ allow: SK012
-- All songs: a test's own clean-up.
delete from songs;

-- name: delete_them_again
--@ allow: SK013, SK12
delete from songs;
