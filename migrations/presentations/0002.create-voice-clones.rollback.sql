drop table voice_clones;
