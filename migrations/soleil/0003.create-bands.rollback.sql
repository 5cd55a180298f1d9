drop table band_members;

drop table bands;
