-- What only conditions prove.

-- name: equal_to_parameter
--@ truth: subtitle
--@ given: {"subtitle": "more"}
select subtitle from books where subtitle = :subtitle;

-- name: in_list
--@ truth: pages
select pages from books where pages in (1, 100);

-- name: not_in_list
--@ truth: pages
select pages from books where pages not in (7, 8);

-- name: any_of_parameter
--@ truth: pages
--@ given: {"list": "{1,NULL}"}
select pages from books where pages = any(:list);

-- name: all_of_parameter_may_be_empty
--@ truth: pages?
--@ given: {"list": "{}"}
select pages from books where pages > all(:list);

-- name: in_subquery
--@ truth: subtitle
select subtitle from books where subtitle in (select other.subtitle from books as other);

-- name: not_in_subquery_may_be_empty
--@ truth: subtitle?
select subtitle from books where subtitle not in (select name from authors where false);

-- name: like_and_regular_expression
--@ truth: subtitle city
select books.subtitle, publishers.city
from books
cross join publishers
where books.subtitle like '%' and publishers.city ~ '';

-- name: not_is_null
--@ truth: subtitle
select subtitle from books where not subtitle is null;

-- name: not_of_or
--@ truth: subtitle pages
select subtitle, pages from books where not (subtitle is null or pages is null);

-- name: not_of_and
--@ truth: subtitle? pages?
--@ before: update books set pages = null where book_id = 1; update books set subtitle = 's', pages = 1 where book_id = 2
select subtitle, pages from books where not (subtitle is null and pages is not null);

-- name: not_of_strict
--@ truth: pages
select pages from books where not pages > 1000;

-- name: or_of_same
--@ truth: pages
select pages from books where pages = 1 or pages = 100 or pages between 3 and 7;

-- name: or_of_different
--@ truth: subtitle? pages?
select subtitle, pages from books where subtitle is not null or pages is not null;

-- name: or_with_and
--@ truth: subtitle pages?
select subtitle, pages from books where (subtitle = 'more' and price > 0) or (subtitle is not null and pages is null);

-- name: distinct_from_null
--@ truth: subtitle
select subtitle from books where subtitle is distinct from null;

-- name: not_distinct_from_proved
--@ truth: subtitle
select subtitle from books where subtitle is not distinct from 'more';

-- name: distinct_from_value
--@ truth: subtitle?
select subtitle from books where subtitle is distinct from 'more';

-- name: is_true
--@ truth: pages other?
--@ before: update books set rating = null
select pages, rating as other from books where (pages > 0) is true and (rating > 5) is not true;

-- name: is_not_unknown
--@ truth: pages
select pages from books where (pages > 5) is not unknown;

-- name: is_not_false
--@ truth: pages?
select pages from books where (pages > 5) is not false;

-- name: equal_to_another_column
--@ truth: subtitle length
select subtitle, subtitle_length as length from books where subtitle_length = length(subtitle);

-- name: parameter_optional_idiom
--@ truth: pages?
--@ given: {"pages": null}
select pages from books where :pages::integer is null or pages = :pages;

-- name: coalesce_in_where
--@ truth: pages?
select pages from books where coalesce(pages, 1) = 1;

-- name: coalesce_is_not_null
--@ truth: either subtitle?
select coalesce(subtitle, pages::text) as either, subtitle from books where coalesce(subtitle, pages::text) is not null;

-- name: expression_is_not_null
--@ truth: length subtitle
select length(subtitle) as length, subtitle from books where length(subtitle) is not null;

-- name: json_key_is_not_null
--@ truth: theme
select metadata ->> 'b' as theme from authors where metadata ->> 'b' is not null;

-- name: json_key_compared
--@ truth: theme other?
select metadata ->> 'a' as theme, metadata ->> 'zzz' as other from authors where metadata ->> 'a' = '1';

-- name: array_element_is_not_null
--@ truth: tag
select tags[1] as tag from authors where tags[1] is not null;

-- name: row_is_not_null
--@ truth: subtitle pages
select subtitle, pages from books where row(subtitle, pages) is not null;

-- name: row_is_null_proves_nothing
--@ truth: subtitle? pages?
--@ before: update books set subtitle = null
select subtitle, pages from books where not row(subtitle, pages) is not null;

-- name: row_equal
--@ truth: subtitle pages
select subtitle, pages from books where (subtitle, pages) = ('more', 1);

-- name: row_less_than
--@ truth: pages subtitle?
--@ before: update books set subtitle = null
select pages, subtitle from books where (pages, subtitle) < (1000, 'x');

-- name: case_in_where
--@ truth: pages?
select pages from books where case when price > 0 then true else pages > 1 end;

-- name: case_then_proved
--@ truth: value other
select
    case when subtitle is not null then subtitle else 'none' end as value,
    case when pages is null then 0 when pages > 5 then pages else pages + 1 end as other
from books;

-- name: case_guards_expression
--@ truth: value
select case when metadata ->> 'a' is null then 'none' else metadata ->> 'a' end as value from authors;

-- name: case_of_value_that_is_null
--@ truth: value?
select case pages when null then 0 else pages end as value from books;

-- name: subquery_where
--@ truth: subtitle
select found.subtitle
from (select subtitle from books) as found
where found.subtitle <> '';

-- name: where_outside_proves_column_inside
--@ truth: pages title
select found.pages, found.title
from (select pages + 1 as more, pages, title from books) as found
where found.more > 0;

-- name: inner_join_on
--@ truth: subtitle name
select books.subtitle, authors.name
from books
inner join authors
    on length(books.subtitle) > authors.author_id - 5;

-- name: inner_join_under_right
--@ truth: name? subtitle?
--@ before: truncate order_items cascade
select publishers.name, books.subtitle
from publishers
inner join books
    on books.publisher_id = publishers.publisher_id and books.subtitle is not null
right join customers
    on customers.customer_id = books.book_id;

-- name: natural_join
--@ truth: publisher_id name title?
select publisher_id, publishers.name, books.subtitle as title
from publishers
inner join books
    using (publisher_id);

-- name: having_count
--@ truth: publisher_id? total
--@ before: update books set pages = 5
select publisher_id, sum(pages) as total
from books
group by publisher_id
having count(pages) > 0 and sum(pages) > 0;

-- name: group_by_where
--@ truth: subtitle how_many longest
select subtitle, count(*) as how_many, max(length(subtitle)) as longest
from books
where subtitle is not null
group by subtitle;

-- name: aggregate_of_where
--@ truth: average list
select avg(pages) as average, array_agg(pages) as list from books where pages > 0 group by genre;

-- name: aggregate_filter_is_not_where
--@ truth: total? list?
select
    sum(pages) filter (where pages is not null) as total,
    array_agg(pages) filter (where pages is not null) as list
from books
group by book_id;

-- name: window_of_where
--@ truth: running first
select
    sum(pages) over (order by book_id) as running, first_value(pages) over (order by book_id) as first
from books
where pages is not null;

-- name: distinct_where
--@ truth: city
select distinct city from publishers where city > '';

-- name: exists_correlated
--@ truth: author_id email?
select author_id, email from authors
where exists(select 1 from books where books.author_id = authors.author_id and authors.author_id is not null);

-- name: exists_correlated_proves_outer
--@ truth: subtitle
select subtitle from books
where exists(select 1 from authors where length(books.subtitle) > authors.author_id - 9);

-- name: lateral_join_condition
--@ truth: subtitle parts
select books.subtitle, split.parts
from books
cross join lateral (select string_to_array(books.subtitle, ' ') as parts where books.subtitle is not null) as split;

-- name: true_constants
--@ truth: subtitle?
select subtitle from books where true or subtitle is not null;

-- name: optional_region
--@ truth: pages
--@ given: {"slowest": "1", "fastest": "200"}
select pages from books where pages between :slowest and :fastest and pages <> 7;

-- name: between_symmetric
--@ truth: pages rating
select pages, rating from books where pages between symmetric 200 and 1 and rating not between 100 and 200;

-- name: overlap_operators
--@ truth: published
select published from books where (published, published) overlaps (date '1900-01-01', date '2100-01-01');

-- name: boolean_column
--@ truth: flag
select flag from (values (true), (null), (false)) as flags (flag) where flag;

-- name: not_boolean_column
--@ truth: flag
select flag from (values (true), (null), (false)) as flags (flag) where not flag;

-- name: num_nonnulls
--@ truth: subtitle pages
select subtitle, pages from books where num_nulls(subtitle, pages) = 0;

-- name: parameter_and_an_aggregate_without_rows
--@ truth: value? how_many
--@ given: {"value": null}
select :value::integer as value, count(*) as how_many from books where book_id > :value::integer;

-- name: parameter_and_an_empty_grouping_set
--@ truth: value? how_many
--@ given: {"value": null}
select :value::integer as value, count(*) as how_many from books where book_id > :value::integer group by rollup (genre);

-- name: parameter_and_groups
--@ truth: value how_many
--@ given: {"value": "0"}
select :value::integer as value, count(*) as how_many from books where book_id > :value::integer group by genre;

-- name: aggregate_that_looks_outside
--@ truth: title pages? how_many
select books.title, looked.pages, looked.how_many
from books
cross join lateral (
    select books.pages, count(*) as how_many from authors where authors.author_id > books.pages
) as looked;

-- name: set_ordered_by_another_set
--@ truth: number?
select generate_series(1, 1) as number order by generate_series(1, 2);

-- name: sets_in_one_expression
--@ truth: number?
select generate_series(1, 2) + generate_series(1, 3) as number;

-- name: expression_known_before_grouping
--@ truth: either?
select coalesce(subtitle, pages::text) as either
from books
where coalesce(subtitle, pages::text) is not null
group by rollup (subtitle, pages);

-- name: column_known_before_grouping
--@ truth: publisher_id?
select publisher_id from books where publisher_id is not null group by rollup (publisher_id);

-- name: subquery_by_grouped_key
--@ truth: name? author_id?
select
    (select authors.name from authors where authors.author_id = books.author_id) as name,
    (select books.author_id) as author_id
from books
group by rollup (books.author_id);

-- name: foreign_key_of_another_level
--@ truth: publisher_id name?
select publishers.publisher_id, found.name
from (select 0 as one, publisher_id + 50 as publisher_id from publishers) as publishers
cross join lateral (
    select authors.name
    from books
    left join authors
        on authors.author_id = publishers.publisher_id
) as found;

-- name: volatile_condition
--@ truth: drawn?
select nullif(random() < 0.5, true) as drawn
from generate_series(1, 100)
where nullif(random() < 0.5, true) is not null;

-- name: volatile_guard
--@ truth: drawn?
select case when nullif(random() < 0.5, true) is not null then nullif(random() < 0.5, true) else false end as drawn
from generate_series(1, 100);

-- name: volatile_column
--@ truth: drawn
select numbers.drawn
from (select nullif(random() < 0.5, true) as drawn from generate_series(1, 100)) as numbers
where numbers.drawn is not null;
