-- What comes back from writing: inserted values, defaults, generated columns, old and new rows, merges.

-- name: insert_literals
--@ truth: plain_id label note amount doubled stamped_at
insert into plain (label) values ('x')
returning plain_id, label, note, amount, doubled, stamped_at;

-- name: insert_null_over_default
--@ truth: note? amount? doubled? stamped_at
--@ given: {"amount": null}
insert into plain (note, amount) values (null, :amount)
returning note, amount, doubled, stamped_at;

-- name: insert_several_rows
--@ truth: label? note
insert into plain (label, note) values ('a', 'b'), (null, 'c')
returning label, note;

-- name: insert_several_rows_with_default
--@ truth: label note amount
insert into plain (label, note, amount) values ('a', 'b', default), ('c', default, 1)
returning label, note, amount;

-- name: insert_from_select
--@ truth: label note? amount
insert into plain (label, note, amount)
select title, subtitle, coalesce(pages, 0) from books
returning label, note, amount;

-- name: insert_default_values
--@ truth: plain_id label? note amount
insert into plain default values
returning plain_id, label, note, amount;

-- name: insert_coalesced_parameter
--@ truth: label upper
--@ given: {"label": null}
insert into plain (label) values (coalesce(:label, 'none'))
returning label, upper(label) as upper;

-- name: insert_on_conflict_nothing
--@ truth: plain_id label
insert into plain (plain_id, label) overriding system value values (500, 'x')
on conflict do nothing
returning plain_id, label;

-- name: insert_on_conflict_keeps_old_label
--@ truth: plain_id label? note
insert into plain (plain_id, label, note) values (101, 'x', 'y')
on conflict (plain_id) do update set note = excluded.note
returning plain_id, label, note;

-- name: insert_on_conflict_sets_all
--@ truth: plain_id label note?
--@ given: {"note": null}
insert into plain (plain_id, label, note) values (101, 'x', :note)
on conflict (plain_id) do update set label = excluded.label, note = plain.note
returning plain_id, label, note;

-- name: insert_on_conflict_with_coalesce
--@ truth: plain_id label
insert into plain (plain_id, label) values (101, 'x')
on conflict (plain_id) do update set label = coalesce(plain.label, excluded.label)
returning plain_id, label;

-- name: update_sets
--@ truth: plain_id label note? amount doubled
update plain set label = 'x', amount = 1
returning plain_id, label, note, amount, doubled;

-- name: update_to_default
--@ truth: note label?
update plain set note = default, label = default
returning note, label;

-- name: update_keeps_what_where_proves
--@ truth: label note?
update plain set note = null where label is not null
returning label, note;

-- name: update_undoes_what_where_proves
--@ truth: label?
update plain set label = null where label is not null
returning label;

-- name: update_swaps
--@ truth: label note?
update plain set label = note, note = null where note is not null
returning label, note;

-- name: update_several_columns
--@ truth: label? note
update plain
set (label, note) = (select subtitle, title from books order by book_id limit 1)
where plain_id = 101 and exists(select from books)
returning label, coalesce(note, '') as note;

-- name: update_from_empty_subquery
--@ truth: label?
update plain set label = (select title from books where false)
returning label;

-- name: update_from_join
--@ truth: plain_id title publisher?
update plain set label = books.title
from books
left join publishers
    on publishers.publisher_id = books.publisher_id
where plain.plain_id = books.book_id + 99
returning plain.plain_id, plain.label as title, publishers.name as publisher;

-- name: update_proves_from_side
--@ truth: label subtitle
update plain set label = books.subtitle
from books
where books.subtitle = any(array['a tale', 'more'])
returning plain.label, books.subtitle;

-- name: update_element
--@ truth: tags metadata
update authors set tags[9] = 'x', metadata['a'] = '1'
returning tags, metadata;

-- name: update_field
--@ truth: home? street?
update customers set home.city = 'Oslo'
returning nullif(home, row(null, 'Oslo')::address) as home, (home).street;

-- name: delete_using
--@ truth: review_id title subtitle? name?
delete from reviews
using books
left join publishers
    on publishers.publisher_id = books.publisher_id and publishers.city is not null
where books.book_id = reviews.book_id
returning reviews.review_id, books.title, books.subtitle, publishers.name;

-- name: delete_proves
--@ truth: review_id body
delete from reviews where body is not null
returning review_id, body;

-- name: data_modifying_cte
--@ truth: plain_id label note
with made as (
    insert into plain (label) values ('x') returning plain_id, label, note
)

select plain_id, label, note from made;

-- name: data_modifying_cte_left_joined
--@ truth: plain_id label?
with gone as (
    delete from reviews where body is not null returning review_id, body
)

select plain.plain_id, gone.body as label
from plain
left join gone
    on gone.review_id = plain.plain_id;

-- name: update_in_cte
--@ truth: label? note
with changed as (
    update plain set note = 'x' returning plain_id, label, note
)

select label, note from changed;

-- name: insert_from_cte
--@ truth: use_id author
with made as (
    insert into authors (name) values ('New') returning author_id
)

insert into books (author_id, title, price)
select made.author_id, 'T', 1 from made
returning book_id as use_id, author_id as author;

-- name: foreign_key_of_rows_just_made
--@ truth: book_id name?
with made as (
    insert into authors (name) values ('New') returning author_id
), written as (
    insert into books (author_id, title, price) select author_id, 'T', 1 from made returning book_id, author_id
)

select written.book_id, authors.name
from written
left join authors
    on authors.author_id = written.author_id;

-- name: foreign_key_subquery_in_returning
--@ truth: book_id name?
with made as (
    insert into authors (name) values ('New') returning author_id
)

insert into books (author_id, title, price)
select author_id, 'T', 1 from made
returning book_id, (select authors.name from authors where authors.author_id = books.author_id) as name;

-- name: foreign_key_of_updated_row
--@ truth: book_id name?
with made as (
    insert into authors (name) values ('New') returning author_id
)

update books
set author_id = made.author_id
from made
where books.book_id = 1
returning books.book_id, (select authors.name from authors where authors.author_id = books.author_id) as name;

-- name: insert_into_view
--@ truth: author_id name email?
--@ given: {"email": null}
insert into simple_authors (name, email) values ('x', :email)
returning author_id, name, email;

-- name: insert_into_partitioned
--@ truth: event_id kind payload amount?
insert into events (event_id, happened_on, kind, payload) values (7, '2024-01-01', 'k', '{}')
returning event_id, kind, payload, amount;

-- name: update_with_array_of_parameters
--@ truth: plain_id label?
--@ given: {"ids": "{101,102}", "labels": "{x,NULL}"}
update plain set label = listed.label
from unnest(:ids::bigint[], :labels::text[]) as listed (plain_id, label)
where plain.plain_id = listed.plain_id
returning plain.plain_id, plain.label;

-- name: insert_from_unnest
--@ truth: label?
--@ given: {"labels": "{x,NULL}"}
insert into plain (label) select unnest(:labels::text[])
returning label;

-- name: returning_whole_row
--@ truth: plain is_there
insert into plain (label) values ('x')
returning plain, plain is not null as is_there;

-- name: update_returning_old_and_new
--@ version: 18
--@ truth: old_label? new_label old_id new_id
update plain set label = 'x'
returning old.label as old_label, new.label as new_label, old.plain_id as old_id, new.plain_id as new_id;

-- name: update_returning_old_proved
--@ version: 18
--@ truth: old_label new_label?
update plain set label = null where label is not null
returning old.label as old_label, new.label as new_label;

-- name: insert_returning_old_and_new
--@ version: 18
--@ truth: old_id? new_id old_is_null
insert into plain (label) values ('x')
returning old.plain_id as old_id, new.plain_id as new_id, old is null as old_is_null;

-- name: upsert_returning_old_and_new
--@ version: 18
--@ truth: old_id? new_id new_label
--@ given: [{"id": "101"}, {"id": "555"}]
insert into plain (plain_id, label) values (:id, 'x')
on conflict (plain_id) do update set label = excluded.label
returning old.plain_id as old_id, new.plain_id as new_id, new.label as new_label;

-- name: delete_returning_old_and_new
--@ version: 18
--@ truth: old_id new_id? bare
delete from reviews
returning old.review_id as old_id, new.review_id as new_id, review_id as bare;

-- name: returning_with_aliases
--@ version: 18
--@ truth: was? now
update plain set label = 'x'
returning with (old as before, new as after) before.label as was, after.label as now;

-- name: merge_of_three_actions
--@ version: 17
--@ truth: plain_id? label? action source_id?
merge into plain
using (values (101, 'a'), (600, null)) as source (id, label)
    on plain.plain_id = source.id
when matched then update set label = source.label
when not matched then insert (plain_id, label) values (source.id, source.label)
when not matched by source then delete
returning nullif(plain.plain_id, 600) as plain_id, plain.label, merge_action() as action, source.id as source_id;

-- name: merge_inserts_only
--@ version: 17
--@ truth: plain_id label source_id note
merge into plain
using (values (600, 'a')) as source (id, label)
    on plain.plain_id = source.id
when not matched then insert (plain_id, label) values (source.id, source.label)
returning plain.plain_id, plain.label, source.id as source_id, plain.note;

-- name: merge_updates_only
--@ version: 17
--@ truth: plain_id label source_id note?
merge into plain
using (values (101, 'a')) as source (id, label)
    on plain.plain_id = source.id
when matched then update set label = source.label
returning plain.plain_id, plain.label, source.id as source_id, plain.note;

-- name: merge_returning_old_and_new
--@ version: 18
--@ truth: old_id? new_id? plain_id
merge into plain
using (values (101, 'a'), (600, 'b')) as source (id, label)
    on plain.plain_id = source.id
when matched then delete
when not matched then insert (plain_id, label) values (source.id, source.label)
returning old.plain_id as old_id, new.plain_id as new_id, plain_id;

-- name: virtual_generated_columns
--@ version: 18
--@ truth: tripled? doubled? proved
select
    tripled, doubled,
    (select other.tripled from plain as other where other.plain_id = 102 and other.amount is not null)
    is null as proved
from plain;

-- name: virtual_generated_column_inserted
--@ version: 18
--@ truth: amount tripled
insert into plain (label) values ('x')
returning amount, tripled;
