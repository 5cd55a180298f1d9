-- Before 18 a child may drop a NOT NULL that it has from its parent.
alter table trucks alter column plate drop not null;
