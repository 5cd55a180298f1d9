-- Subqueries, CTEs, views, set operations, groups, windows, functions that return sets.

-- name: scalar_subquery_without_row
--@ truth: author_id title?
select authors.author_id, (select max(books.title) from books where books.author_id = authors.author_id) as title
from authors;

-- name: scalar_subquery_always_one_row
--@ truth: one how_many or_else greatest
select
    (select 1) as one, (select count(*) from books where false) as how_many,
    (select coalesce(max(price), 0) from books where false) as or_else,
    (select greatest(count(*), 1) from books) as greatest;

-- name: scalar_subquery_having
--@ truth: how_many?
select (select count(*) from books having count(*) > 1000) as how_many;

-- name: scalar_subquery_limit_zero
--@ truth: one? two?
--@ given: {"limit": "0"}
select (select 1 limit :limit) as one, (select 1 offset 1) as two;

-- name: scalar_subquery_where_false
--@ truth: one?
select (select 1 where false) as one;

-- name: scalar_subquery_with_set
--@ truth: one?
select (select generate_series(1, 0)) as one;

-- name: scalar_subquery_group_by_nothing
--@ truth: how_many
select (select count(*) from books where false group by ()) as how_many;

-- name: array_subquery
--@ truth: titles subtitles element?
select
    array(select title from books) as titles, array(select subtitle from books) as subtitles,
    (array(select title from books where false))[1] as element;

-- name: cte_chain
--@ truth: book_id subtitle? length?
with first_books as (
    select book_id, subtitle from books
), second_books as materialized (
    select book_id, subtitle, length(subtitle) as length from first_books
)

select book_id, subtitle, length from second_books;

-- name: cte_proved_inside
--@ truth: book_id subtitle
with named as not materialized (
    select book_id, subtitle from books where subtitle is not null
)

select named.book_id, named.subtitle from named;

-- name: cte_used_twice
--@ truth: one two?
with named as (
    select book_id, title from books
)

select one.title as one, two.title as two
from named as one
left join named as two
    on two.book_id = one.book_id + 1;

-- name: cte_that_hides_a_table
--@ truth: name?
with authors as (
    select null::text as name
)

select name from authors;

-- name: cte_of_an_outer_level
--@ truth: author_id subtitle?
with named as (
    select author_id, subtitle from books
)

select
    authors.author_id,
    (select named.subtitle from named where named.author_id = authors.author_id limit 1) as subtitle
from authors;

-- name: recursive_numbers
--@ truth: number
with recursive numbers as (
    select 1 as number
    union all
    select numbers.number + 1 from numbers where numbers.number < 5
)

select number from numbers;

-- name: recursive_null_in_step
--@ truth: number step?
with recursive numbers as (
    select 1 as number, 1 as step
    union all
    select numbers.number + 1, nullif(numbers.step, 1) from numbers where numbers.number < 5
)

select number, step from numbers;

-- name: recursive_null_from_table
--@ truth: employee_id manager_id?
with recursive staff as (
    select employee_id, employee_id as manager_id from employees where team = 'top'
    union
    select employees.employee_id, managers.manager_id
    from employees
    inner join staff
        on staff.employee_id = employees.manager_id
    left join employees as managers
        on managers.employee_id = employees.manager_id
)

select employee_id, manager_id from staff;

-- name: recursive_null_through_two_columns
--@ truth: one? two? three?
with recursive turning as (
    select 1 as one, 2 as two, null::integer as three
    union
    select turning.two, turning.three, turning.one from turning
)

select one, two, three from turning;

-- name: recursive_search
--@ truth: employee_id depth_order is_cycle path
with recursive staff as (
    select employee_id from employees where manager_id is null
    union all
    select employees.employee_id
    from employees
    inner join staff
        on staff.employee_id = employees.manager_id
) search depth first by employee_id set depth_order
cycle employee_id set is_cycle using path

select employee_id, depth_order, is_cycle, path from staff;

-- name: view_over_view
--@ truth: author_id name book_id? title
select author_id, name, book_id, title from titled_author_books
union all
select author_id, name, null, 'x' from authors;

-- name: view_proves_by_its_where
--@ truth: author_id book_id title
select author_id, book_id, title from titled_author_books;

-- name: view_of_left_join
--@ truth: author_id name book_id? title?
select author_id, name, book_id, title from author_books;

-- name: view_reduced_outside
--@ truth: author_id book_id title
select author_id, book_id, title from author_books where book_id > 0;

-- name: view_of_groups
--@ truth: author_id how_many total best?
--@ before: update books set rating = null
select author_id, how_many, total, best from book_totals;

-- name: view_left_joined
--@ truth: publisher_id book_id? name?
select publishers.publisher_id, book_authors.book_id, book_authors.name
from publishers
left join book_authors
    on book_authors.book_id = publishers.publisher_id + 1000;

-- name: materialized_view
--@ truth: author_id? name? email?
--@ before: alter materialized view author_names rename to old_names; create table author_names as select null::bigint as author_id, null::text as name, null::text as email
select author_id, name, email from author_names;

-- name: union_of_nulls
--@ truth: one two? three?
select 1 as one, title as two, null as three from books
union
select 2, subtitle, 'x' from books;

-- name: intersect_keeps_what_one_side_proves
--@ truth: label
select subtitle as label from books
intersect
select 'more' from books;

-- name: intersect_of_nullable
--@ truth: label?
select subtitle as label from books
intersect all
select subtitle from books;

-- name: except_keeps_the_left
--@ truth: label number?
select title as label, pages as number from books
except
select subtitle, 1 from books;

-- name: except_does_not_remove_null
--@ truth: label?
select subtitle as label from books
except
select title from books;

-- name: nested_set_operations
--@ truth: label other?
(
    select title as label, subtitle as other from books
    union all
    select name, email from authors
)
intersect
(
    select title, subtitle from books
    union
    select 'z', null
);

-- name: union_in_from
--@ truth: label
select both_names.label
from (
    select title as label from books
    union all
    select coalesce(email, 'none') from authors
) as both_names
where both_names.label <> '';

-- name: union_proved_by_where
--@ truth: label
select labels.label
from (
    select subtitle as label from books
    union all
    select email from authors
) as labels
where labels.label is not null;

-- name: values_lists
--@ truth: one two? three
select one, two, three
from (values (1, null, 'x'), (2, 'a', 'y')) as listed (one, two, three);

-- name: values_alone
--@ truth: column1 column2?
--@ given: {"value": null}
values (1, 'a'), (2, :value);

-- name: grouping_sets
--@ truth: author_id? genre? how_many grouping
select author_id, genre, count(*) as how_many, grouping(author_id, genre) as grouping
from books
group by grouping sets ((author_id), (genre), ());

-- name: grouping_sets_with_column_in_all
--@ truth: author_id genre? total
select author_id, genre, sum(price) as total
from books
group by author_id, grouping sets ((genre), ());

-- name: cube
--@ truth: author_id? genre? total?
--@ before: truncate books cascade
select author_id, genre, sum(price) as total
from books
group by cube (author_id, genre);

-- name: rollup_of_nothing
--@ truth: best? how_many
--@ before: truncate books cascade
select max(price) as best, count(*) as how_many from books group by rollup (author_id);

-- name: grouped_expression
--@ truth: length how_many?
select length(title) as length, nullif(count(*), 1) as how_many
from books
group by length(title);

-- name: grouping_set_expression
--@ truth: label? safe
select upper(genre::text) as label, coalesce(upper(genre::text), 'all') as safe
from books
group by rollup (upper(genre::text));

-- name: group_by_nullable
--@ truth: publisher_id? how_many cheapest
select publisher_id, count(publisher_id) as how_many, min(price) as cheapest
from books
group by publisher_id;

-- name: having_proves
--@ truth: author_id best
select author_id, max(rating) as best
from books
group by author_id
having max(rating) > 0;

-- name: having_on_group_key
--@ truth: publisher_id how_many
select publisher_id, count(*) as how_many
from books
group by publisher_id
having publisher_id is not null;

-- name: aggregates_without_group
--@ truth: how_many total? best? every? list? text? json? object?
--@ before: truncate books cascade
select
    count(*) as how_many, sum(price) as total, max(title) as best, bool_and(price > 1) as every,
    array_agg(title) as list, string_agg(title, ',') as text, json_agg(title) as json,
    jsonb_object_agg(title, price) as object
from books;

-- name: aggregates_with_group
--@ truth: list text json object every bits arrays deviation? regression? mode
select
    array_agg(subtitle) as list, string_agg(title, ',') as text, json_agg(subtitle) as json,
    jsonb_object_agg(title, subtitle) as object, bool_or(price > 1) as every, bit_or(book_id) as bits,
    array_agg(array[pages]) as arrays, stddev(price) as deviation, corr(price, price) as regression,
    mode() within group (order by genre) as mode
from books
group by author_id;

-- name: aggregates_of_nullable_with_group
--@ truth: total? text? best? average? json list
--@ before: update books set pages = null, subtitle = null
select
    sum(pages) as total, string_agg(subtitle, ',') as text, max(pages) as best, avg(pages) as average,
    jsonb_agg(pages) as json, array_agg(pages) as list
from books
group by author_id;

-- name: filtered_aggregates
--@ truth: how_many total? list? or_else
select
    count(*) filter (where price > 1000) as how_many, sum(price) filter (where price > 1000) as total,
    array_agg(title) filter (where price > 1000) as list,
    coalesce(sum(price) filter (where price > 1000), 0) as or_else
from books
group by author_id;

-- name: ordered_set_aggregates
--@ truth: median value of_nullable? several hypothetical null_fraction?
--@ given: {"fraction": null}
--@ before: update books set rating = null
select
    percentile_cont(0.5) within group (order by price::float8) as median,
    percentile_disc(0.5) within group (order by title) as value,
    percentile_cont(0.5) within group (order by rating) as of_nullable,
    percentile_cont(array[0.1, 0.9]) within group (order by price::float8) as several,
    rank(5) within group (order by pages) as hypothetical,
    percentile_cont(:fraction) within group (order by price::float8) as null_fraction
from books
group by author_id;

-- name: several_percentiles_have_null_elements
--@ truth: first?
select (percentile_cont(array[null, 0.9]) within group (order by price::float8))[1] as first from books group by author_id;

-- name: own_aggregate
--@ truth: last?
select last_but_one(1) as last from books group by author_id;

-- name: lag_and_lead
--@ truth: before? behind? before_or next_or? same far?
--@ before: update books set subtitle = null
select
    lag(title) over byprice as before, lead(title) over byprice as behind, lag(title, 1, 'none') over byprice as before_or,
    lead(title, 1, subtitle) over byprice as next_or, lag(title, 0) over byprice as same,
    lag(title, 5) over byprice as far
from books
window byprice as (order by price);

-- name: first_and_last_values
--@ truth: first last nth? first_nullable? of_empty?
select
    first_value(title) over byprice as first, last_value(title) over byprice as last,
    nth_value(title, 2) over byprice as nth, first_value(pages) over (order by price desc) as first_nullable,
    first_value(title) over (order by price rows between 5 following and 6 following) as of_empty
from books
window byprice as (order by price);

-- name: sums_over_frames
--@ truth: running whole? behind? before? excluded? peers counted
--@ before: update books set pages = null
select
    sum(price) over (order by price) as running, sum(pages) over () as whole,
    sum(price) over (order by price rows between 1 following and 2 following) as behind,
    sum(price) over (order by price rows between unbounded preceding and 1 preceding) as before,
    sum(price) over (order by price rows between unbounded preceding and current row exclude current row) as excluded,
    sum(price) over (order by price groups between 1 preceding and 1 following) as peers,
    count(pages) over (order by price rows between 1 following and 2 following) as counted
from books;

-- name: frames_that_exclude
--@ truth: ties no_ties? grouped? array_?
select
    max(price) over (order by price rows between 1 preceding and current row exclude ties) as ties,
    max(price) over (order by genre rows between current row and current row exclude group) as no_ties,
    min(price) over (partition by author_id order by price rows between unbounded preceding and unbounded following exclude group) as grouped,
    array_agg(title) over (order by price rows between 2 preceding and 1 preceding) as array_
from books;

-- name: frames_in_the_future_of_current
--@ truth: from_here range_ offset_?
--@ given: {"start": "1"}
select
    sum(price) over (order by price rows between current row and unbounded following) as from_here,
    sum(price) over (order by price range between 1 preceding and 1 following) as range_,
    sum(price) over (order by price rows between :start following and unbounded following) as offset_
from books;

-- name: frame_of_reversed_offsets
--@ truth: sum? behind
--@ given: {"low": "0", "high": "5"}
select
    sum(price) over (order by price rows between :low preceding and :high preceding) as sum,
    row_number() over (order by price) as behind
from books;

-- name: range_frame_over_null_order
--@ truth: near over_null?
select
    sum(price) over (order by price range between 1 preceding and current row) as near,
    sum(pages) over (order by pages range between 1 preceding and current row) as over_null
from books;

-- name: ranking_functions
--@ truth: row_ rank_ dense percent cume tile null_tile?
--@ given: {"tiles": null}
select
    row_number() over () as row_, rank() over (order by price) as rank_, dense_rank() over (order by price) as dense,
    percent_rank() over (order by price) as percent, cume_dist() over (order by price) as cume,
    ntile(4) over (order by price) as tile, ntile(:tiles) over (order by price) as null_tile
from books;

-- name: filtered_window_aggregate
--@ truth: total? how_many
select
    sum(price) filter (where price > 1000) over (order by price) as total,
    count(*) filter (where price > 1000) over (order by price) as how_many
from books;

-- name: window_over_group
--@ truth: author_id total share?
select
    author_id, sum(sum(price)) over () as total, sum(price) / nullif(sum(sum(price)) over (), 29.5) as share
from books
group by author_id;

-- name: distinct_on
--@ truth: author_id subtitle? pages?
--@ before: update books set pages = null
select distinct on (author_id) author_id, subtitle, pages
from books
order by author_id, subtitle nulls first, pages;

-- name: unnested
--@ truth: author_id tag? position
select authors.author_id, listed.tag, listed.position
from authors
cross join unnest(authors.tags) with ordinality as listed (tag, position);

-- name: unnested_pair
--@ truth: one? two
select one, two
from unnest(array['a'], array[1, 2]) as pairs (one, two);

-- name: unnested_constant_array
--@ truth: one
select one from unnest(array['a', 'b']) as listed (one);

-- name: unnested_parameter
--@ truth: one?
--@ given: {"list": "{1,NULL}"}
select one from unnest(:list::integer[]) as listed (one);

-- name: rows_from
--@ truth: one? two? position
select one, two, position
from rows from (generate_series(1, 3), generate_series(1, 2), unnest(array['a'])) with ordinality as listed (one, two, three, position)
where one is null or position > 0
union all
select null, null, 0;

-- name: rows_from_of_one
--@ truth: number position
select number, position
from rows from (generate_series(1, 3)) with ordinality as listed (number, position);

-- name: series_in_target
--@ truth: number other?
select generate_series(1, 3) as number, generate_series(1, 2) as other;

-- name: one_series_in_target
--@ truth: number author_id
select generate_series(1, 3) as number, author_id from authors;

-- name: own_sets
--@ truth: number? book_id? title?
--@ before: create or replace function title_table() returns table (book_id bigint, title text) language sql stable as $$ select null::bigint, null::text $$
select numbers.number, titles.book_id, titles.title
from numbers_and_null() as numbers (number)
cross join title_table() as titles;

-- name: json_expansions
--@ truth: key value? text? element?
select pairs.key, (pairs.value -> 'zzz') as value, texts.value as text, elements.element ->> 0 as element
from authors
cross join jsonb_each(authors.metadata) as pairs
cross join jsonb_each_text(authors.metadata) as texts
cross join jsonb_array_elements(authors.metadata -> 'list') as elements (element)
where authors.author_id = 1;

-- name: json_each_values
--@ truth: key value
select pairs.key, pairs.value
from authors
cross join jsonb_each(authors.metadata) as pairs;

-- name: json_array_elements_text
--@ truth: element?
select element from jsonb_array_elements_text('[1, null]') as listed (element);

-- name: json_recordset
--@ truth: a? b?
select a, b from jsonb_to_recordset('[{"a": 1}, {"b": "x"}]') as listed (a integer, b text);

-- name: json_populate
--@ truth: street? city?
select street, city from jsonb_populate_record(null::address, '{}');

-- name: json_table
--@ truth: number? name? position
--@ version: 17
select number, name, position
from json_table('[{"a": 1}, {"b": "x"}]'::jsonb, '$[*]' columns (number integer path '$.a', name text path '$.b', position for ordinality)) as listed;

-- name: json_value
--@ truth: value? exists_ query? scalar
--@ version: 17
select
    json_value(metadata, '$.zzz') as value, json_exists(metadata, '$.zzz') as exists_,
    json_query(metadata, '$.zzz') as query, json_scalar(name) as scalar
from authors;

-- name: string_sets
--@ truth: part matched? word
select part, (regexp_matches('ab', '(z)?b'))[1] as matched, regexp_split_to_table('a b', ' ') as word
from string_to_table('a,b', ',') as listed (part);

-- name: string_sets_with_null
--@ truth: part?
select part from string_to_table('a,b', ',', 'b') as listed (part);

-- name: set_under_left_join
--@ truth: author_id number?
select authors.author_id, series.number
from authors
left join lateral generate_series(1, authors.author_id - 1) as series (number)
    on true;

-- name: limit_and_offset
--@ truth: title
--@ given: {"limit": null}
select title from books order by price limit :limit offset 0;

-- name: subquery_in_where
--@ truth: title subtitle
select title, subtitle
from books
where subtitle = (select max(other.subtitle) from books as other);

-- name: order_by_expression
--@ truth: title
select title from books order by subtitle nulls last, length(subtitle);

-- name: empty_select
--@ truth: one
select 1 as one from books where exists(select from authors);

-- name: correlated_aggregate
--@ truth: author_id total
select authors.author_id, (select coalesce(sum(books.price), 0) from books where books.author_id = authors.author_id) as total
from authors;

-- name: outer_level_aggregate
--@ truth: best?
--@ before: truncate books cascade
select (select max(books.price) from authors limit 1) as best
from books;

-- name: null_literals
--@ truth: one? two? three four?
select null as one, null::text || 'a' as two, null is null as three, cast(null as integer) as four;
