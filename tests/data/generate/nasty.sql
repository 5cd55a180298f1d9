-- name: get_word
-- One row of a table whose columns have the names of keywords, builtins and methods of pydantic's.
select "class", "from", copy, json, schema, model_config, model_fields, list, int, str, date, "Größe", "two words", _id
from words
where _id = :id;

-- name: list
-- A method named like a builtin; "quoted" words, a back\slash and """three""" of them.
select list, date from words order by _id;

-- name: int
-- The number of words.
select count(*) from words;

-- name: date
select date from words where _id = :date;

-- name: add_word
insert into words (copy, json, schema, "from", list) values (:word.copy, :word.json, :word.schema, :word.from_, :word.list)
returning _id;

-- name: import_words
copy words (copy, list, date, "Größe") from stdin;

-- name: change_word
update words
set
    date = :date,          --? optional
    int = :int,            --? optional
    copy = :copy,          --? optional
    str = 'x'
where _id = :_id;

-- name: straßen_nach_größe
-- Größe, aufsteigend; ein sehr langer Satz, der auf einer Zeile keinen Platz findet, weil er immer weitergeht und nie aufhört.
select "Größe" from words where "Größe" > :größe order by "Größe";

-- name: count_by_db
select count(*) from words where str = :db and copy = :conn;

-- name: words_of_lists
select words._id as "word.id", words.copy as "word.copy", words.date as "word.date", words.list
from words
order by words._id;

-- name: get_thing
select
    amount, thing_id, parent_id, state, states, spot, spots, span, spans, tags, doc, docs, mail, code, kind, level, made,
    spent, raw, address
from things
where thing_id = :thing_id;

-- name: things_by_state
select thing_id, state, states, spot, spots, span, spans, tags, amount, doc
from things
where state = any(:states) and span && :span and spot = :spot::spot and amount > :amount
order by thing_id;

-- name: state_of
select state from things where thing_id = :thing_id;

-- name: spots_of
select spots from things where thing_id = :thing_id;

-- name: spot_of
select spot from things where thing_id = :thing_id;

-- name: all_spots
select spot from things;

-- name: docs
select doc from things;

-- name: doc_of
select doc from things where thing_id = :thing_id;

-- name: first_doc
select coalesce((select doc from things order by thing_id limit 1), '{}') as doc;

-- name: add_thing
insert into things (state, states, spot, span, tags, amount, doc, mail, code, kind, level)
values (:state, :states, :spot, :span, :tags, :amount, :doc, :mail, :code, :kind, :level)
returning thing_id;

-- name: add_things :batchmany
insert into things (state, states, spot, span, tags, amount, doc, mail, code, kind, level)
values (:state, :states, :spot, :span, :tags, :amount, :doc, :mail, :code, :kind, :level)
returning thing_id, state;

-- name: import_things
copy things (state, states, spot, span, tags, amount, doc, mail, code, kind, level) from stdin;

-- name: walk :stream
select thing_id, amount from things order by thing_id;

-- name: getThing :optional
-- Names as other languages have them.
select thing_id as "thingId", kind as "Kind", level as _level from things where thing_id = :thingId and kind = :id;

-- name: UPSERT
/* no word of SQL */ insert into words (_id, copy) values (:ID, :copy);

-- name: lock_things :exec
select pg_advisory_xact_lock(:key);

-- name: nothing
select pg_notify('things', :payload);

-- name: forget
truncate words;

-- name: both_ways
select thing_id, kind
from things
order by thing_id       --| by: id
-- order by amount      --| by: amount-down
limit :limit offset :offset;

-- name: page
select thing_id, amount
from things
where
    true
--? optional {
    and (amount, thing_id) > (:after.amount, :after.thing_id)
--? }
    and kind = :filter.kind       --? optional
    and level >= :filter.level    --? optional
order by amount, thing_id
limit :limit;

-- name: with_children
select
    things.thing_id,
    parents.thing_id as "parent.thing_id",
    parents.kind as "parent.kind",
    parents.amount as "parent.amount",
    (
        select coalesce(jsonb_agg(jsonb_build_object(
            'thing_id', children.thing_id, 'amount', children.amount, 'span', children.span, 'state', children.state,
            'tags', children.tags, 'made', children.made, 'spot', jsonb_build_object('x', 1, 'label', children.kind)
        )), '[]')
        from things as children
        where children.parent_id = things.thing_id
    ) as children,
    (select json_agg(children.thing_id) from things as children where children.parent_id = things.thing_id) as child_ids,
    row_to_json(things) as whole
from things
left join things as parents
    on parents.thing_id = things.parent_id;

-- name: merge_things
merge into things
using (values (:thing_id::bigint, :amount::numeric)) as given (thing_id, amount)
    on given.thing_id = things.thing_id
when matched then update set amount = given.amount
when not matched then do nothing;

-- name: upsert_word
insert into words (_id, copy, list) values (:_id, :copy, :list)
on conflict (_id) do update set copy = excluded.copy
returning
    _id, "class", "from", copy, json, schema, model_config, model_fields, list, int, str, date, "Größe", "two words";
