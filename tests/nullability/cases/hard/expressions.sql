-- Expressions: strict functions that know a NULL of their own, and those that never do.

-- name: json_arrows
--@ truth: a? b? path? path_text? has keys
select
    metadata -> 'a' as a, metadata ->> 'a' as b, metadata #> '{b,c}' as path, metadata #>> '{b,c}' as path_text,
    metadata ? 'a' as has, metadata @> '{}' as keys
from authors;

-- name: json_null_is_not_null
--@ truth: json_null text_null?
select 'null'::jsonb as json_null, '{"a": null}'::jsonb ->> 'a' as text_null;

-- name: json_functions
--@ truth: kind length? first? built stripped
--@ before: update authors set metadata = '{"list": null}'
select
    jsonb_typeof(metadata) as kind, jsonb_array_length(metadata -> 'list') as length,
    jsonb_path_query_first(metadata, '$.zzz') as first, to_jsonb(metadata) as built,
    jsonb_strip_nulls(metadata) as stripped
from authors
where jsonb_typeof(metadata -> 'list') = 'array' or metadata -> 'list' is null;

-- name: json_construction
--@ truth: one two three four
select
    json_build_object('a', email) as one, jsonb_build_array(email, born) as two, row_to_json(authors) as three,
    to_json(name) as four
from authors;

-- name: json_of_null
--@ truth: one? two?
select to_json(email) as one, to_jsonb(email) as two from authors;

-- name: jsonb_set_with_null
--@ truth: written? kept
--@ given: {"value": null}
select
    jsonb_set(metadata, '{a}', :value) as written, jsonb_set(metadata, '{a}', '1') as kept
from authors;

-- name: array_subscripts
--@ truth: first? slice second? of_slice?
select tags[1] as first, tags[1:2] as slice, (array['a'])[2] as second, (tags[1:1])[1] as of_slice from authors;

-- name: array_slice_by_null
--@ truth: slice?
--@ given: {"low": null, "high": "2"}
select tags[:low : :high] as slice from authors;

-- name: array_functions
--@ truth: length? upper? lower? dims? position? cardinality appended joined
select
    array_length(tags, 1) as length, array_upper(tags, 1) as upper, array_lower(tags, 1) as lower,
    array_dims(tags) as dims, array_position(tags, 'zzz') as position, cardinality(tags) as cardinality,
    array_append(tags, 'z') as appended, array_to_string(tags, ',') as joined
from authors;

-- name: array_constructors
--@ truth: built from_query empty nested
select
    array[email, name] as built, array(select books.title from books where false) as from_query,
    array[]::text[] as empty, array[array[1], array[2]] as nested
from authors;

-- name: split
--@ truth: parts part beyond element?
--@ given: {"text": "a,b"}
select
    string_to_array('a,b', ',') as parts, split_part('a,b', ',', 1) as part, split_part('a,b', ',', 9) as beyond,
    (string_to_array('a,b', ','))[3] as element;

-- name: patterns
--@ truth: matched? matches? by_pattern? replaced is_like
select
    regexp_match(name, '^Z(.*)') as matched, (regexp_match(name, '(z)?A'))[1] as matches,
    substring(name from '^Z') as by_pattern, regexp_replace(name, 'a', 'b') as replaced, name ~ 'A' as is_like
from authors;

-- name: substring_by_position
--@ truth: one two three
select substring(name from 2) as one, left(name, 1) as two, substring(name from 1 for 2) as three from authors;

-- name: ranges
--@ truth: range low? high? is_empty contains
select
    int4range(author_id::integer, null) as range, lower(int4range(null, 5)) as low,
    upper(int4range(author_id::integer, null)) as high, isempty(int4range(1, 1)) as is_empty,
    int4range(1, 5) @> 3 as contains
from authors;

-- name: nullif_and_friends
--@ truth: gone? kept? greatest least null_greatest?
select
    nullif(name, 'Ann') as gone, nullif(author_id, 1) as kept, greatest(email, name) as greatest,
    least(born, '2000-01-01'::date) as least, greatest(email, metadata ->> 'zzz') as null_greatest
from authors;

-- name: coalesce_chain
--@ truth: one two? three
--@ given: {"fallback": null}
select
    coalesce(subtitle, title) as one, coalesce(subtitle, :fallback) as two,
    coalesce(subtitle, :fallback, 'x') as three
from books;

-- name: case_forms
--@ truth: simple searched? guarded by_is_null unreachable?
--@ before: update books set subtitle = null
select
    case genre when 'novel' then 1 else 2 end as simple,
    case when pages > 0 then title when subtitle is null then subtitle else title end as searched,
    case when subtitle is not null then subtitle else 'none' end as guarded,
    case when pages is null then 0 else pages end as by_is_null,
    case genre when 'novel' then 'n' when 'essay' then 'e' end as unreachable
from books;

-- name: case_guard_by_condition
--@ truth: positive wrong?
select
    case when pages > 1 then pages else 0 end as positive,
    case when pages > 1 or title <> '' then pages else 0 end as wrong
from books;

-- name: tests_are_never_null
--@ truth: one two three four five six
select
    subtitle is null as one, subtitle is not null as two, pages is distinct from 1 as three,
    (pages > 1) is true as four, (pages > 1) is unknown as five, num_nulls(pages, subtitle) as six
from books;

-- name: three_valued_logic
--@ truth: and_? or_? not_? both either
select
    pages > 1 and price > 1 as and_, pages > 1000 or price > 1000 as or_, not pages > 1 as not_,
    price > 1 and title <> '' as both, price > 1 or title <> '' as either
from books;

-- name: logic_with_constants
--@ truth: never always?
select pages > 1 and false as never, pages > 1 or price < 0 as always from books;

-- name: in_lists
--@ truth: in_list null_in_list? of_null? in_array
select
    author_id in (1, 2) as in_list, author_id in (7, null) as null_in_list, publisher_id in (1, 2) as of_null,
    author_id = any('{1,2}'::bigint[]) as in_array
from books;

-- name: in_array_with_nulls
--@ truth: found? all_?
--@ given: {"ids": "{77,NULL}"}
select author_id = any(:ids) as found, author_id <> all(:ids) as all_ from books;

-- name: in_subqueries
--@ truth: in_never_null in_nullable? not_in? exists_ any_
select
    author_id in (select authors.author_id from authors) as in_never_null,
    77 in (select other.publisher_id from books as other) as in_nullable,
    77 not in (select other.publisher_id from books as other) as not_in,
    exists(select other.publisher_id from books as other where other.publisher_id = 77) as exists_,
    author_id > any(select authors.author_id from authors) as any_
from books;

-- name: row_comparisons
--@ truth: of_rows? never_null is_null is_not_null built
select
    (book_id, pages) = (1, null) as of_rows, (book_id, title) < (2, 'x') as never_null,
    row(pages, subtitle) is null as is_null, row(pages, subtitle) is not null as is_not_null,
    row(pages, subtitle) as built
from books
where book_id = 1;

-- name: composite_fields
--@ truth: customer_id home? street? city? built
select customer_id, home, (home).street, (home).city, row('a', 'b')::address as built
from customers;

-- name: composite_of_row
--@ truth: street city?
select (made.home).street, (made.home).city
from (select row('Main', null)::address as home) as made;

-- name: composite_is_not_null
--@ truth: home street city
--@ before: update customers set home = row('Main', 'Oslo') where customer_id = 1
select home, (home).street, (home).city
from customers
where home is not null;

-- name: concatenations
--@ truth: with_operator? with_concat with_ws formatted with_null_separator?
--@ given: {"separator": null}
select
    name || email as with_operator, concat(name, email) as with_concat, concat_ws(',', email, name) as with_ws,
    format('%s', email) as formatted, concat_ws(:separator, email, name) as with_null_separator
from authors;

-- name: numbers
--@ truth: rounded power divided remainder bucket sign to_number
select
    round(price, 1) as rounded, power(price, 2) as power, price / 3 as divided, author_id % 2 as remainder,
    width_bucket(price, 0, 100, 5) as bucket, sign(price) as sign, to_number('12', '99') as to_number
from books;

-- name: dates
--@ truth: year truncated epoch interval added text? parsed made
select
    extract(year from placed_at) as year, date_trunc('day', placed_at) as truncated,
    extract(epoch from placed_at) as epoch, age(placed_at, '2000-01-01') as interval,
    placed_at + interval '1 day' as added, to_char(shipped_at, 'YYYY') as text,
    to_date('2020-01-01', 'YYYY-MM-DD') as parsed, make_date(2020, 1, 1) as made
from orders;

-- name: parts_of_infinity
--@ truth: month? day? year epoch
--@ before: update orders set placed_at = 'infinity'
select
    extract(month from placed_at) as month, extract(day from placed_at::date) as day,
    extract(year from placed_at) as year, date_part('epoch', placed_at) as epoch
from orders;

-- name: time_of_infinity
--@ truth: time_? with_zone? date_
--@ before: update orders set placed_at = 'infinity'
select placed_at::time as time_, placed_at::timetz as with_zone, placed_at::date as date_ from orders;

-- name: json_null_to_number
--@ version: 18
--@ truth: number? flag?
--@ before: update authors set metadata = 'null'
select metadata::integer as number, metadata::boolean as flag from authors where jsonb_typeof(metadata) <> 'object'
union all
select 1, true;

-- name: format_that_is_empty
--@ truth: text?
--@ given: {"format": ""}
select to_char(placed_at, :format) as text from orders;

-- name: text_of_infinity
--@ truth: text? of_date? of_number
--@ before: update orders set placed_at = 'infinity'
select
    to_char(placed_at, 'YYYY') as text, to_char(placed_at::date, 'DD') as of_date, to_char(total, '9') as of_number
from orders;

-- name: settings
--@ truth: known maybe? server user_ path?
select
    current_setting('server_version') as known, current_setting('no.such', true) as maybe,
    current_setting('server_version_num')::integer as server, current_user as user_,
    inet_server_addr() as path;

-- name: catalogue_functions
--@ truth: no_table? no_comment? definition? type size
select
    to_regclass('no_such_table') as no_table, obj_description(1, 'pg_class') as no_comment,
    pg_get_viewdef(0::oid) as definition, pg_typeof(null::integer) as type, pg_column_size(1) as size;

-- name: own_functions
--@ truth: strict_null? lax operator? first?
select
    strict_null(author_id::integer) as strict_null, lax_one(null) + 0 as lax, author_id::integer ## 1 as operator,
    first_title(author_id) as first
from authors
where lax_one(1) = 1;

-- name: casts
--@ truth: to_text to_number? enum_ domain_? io
--@ given: {"text": null}
select
    author_id::text as to_text, pages::text as to_number, 'novel'::genre as enum_, subtitle::short_text as domain_,
    genre::text as io
from books;

-- name: parameters_may_be_null
--@ truth: bare? cast_? added? or_else tested
--@ given: {"text": null, "value": null}
select
    :text as bare, :value::integer as cast_, 1 + :value as added, coalesce(:value, 0) as or_else,
    :value is null as tested;

-- name: parameter_compared
--@ truth: same? book_id
--@ given: {"title": null}
select title = :title as same, book_id from books;

-- name: parameter_proved_by_where
--@ truth: value book_id
--@ given: {"value": "1"}
select :value::integer as value, book_id from books where book_id >= :value::integer;

-- name: system_columns
--@ truth: ctid tableoid name
select ctid, tableoid, tableoid::regclass::text as name from books;

-- name: collations_and_relabelled
--@ truth: varchar_ collated nick?
select title::varchar as varchar_, title collate "C" as collated, (select nickname from customers where customer_id = 1) as nick
from books;

-- name: min_scale_and_factor
--@ truth: min_scale? scale?
--@ before: update orders set total = 'NaN'
select min_scale(total) as min_scale, scale(total) as scale from orders;

-- name: text_search
--@ truth: vector query matches rank headline
select
    to_tsvector('simple', title) as vector, plainto_tsquery('simple', 'a') as query,
    to_tsvector('simple', title) @@ plainto_tsquery('simple', 'a') as matches,
    ts_rank(to_tsvector('simple', title), plainto_tsquery('simple', 'a')) as rank,
    ts_headline('simple', title, plainto_tsquery('simple', 'a')) as headline
from books;

-- name: random_things
--@ truth: random uuid clock hash
select random() as random, gen_random_uuid() as uuid, clock_timestamp() as clock, md5('a') as hash;

-- name: sql_value_functions
--@ truth: one two three four? five
--@ before: set local search_path = nowhere
select current_date as one, current_timestamp as two, localtime as three, current_schema as four, current_catalog as five;

-- name: schema_may_be_missing
--@ truth: schema?
--@ before: set local search_path = nowhere
select current_schema() as schema;
