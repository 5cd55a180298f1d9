-- Joins of every kind: which side is padded, and what takes the padding away again.

-- name: full_join
--@ truth: author_id? publisher_id?
select authors.author_id, publishers.publisher_id
from authors
full join publishers
    on publishers.name = authors.name;

-- name: full_join_using
--@ truth: either left_id? right_id?
select author_id as either, authors.author_id as left_id, books.author_id as right_id
from authors
full join (select 77 as author_id) as books
    using (author_id);

-- name: left_join_using
--@ truth: merged name author?
select author_id as merged, publishers.name, authors.name as author
from (select publisher_id + 1 as author_id, name from publishers) as publishers
left join authors
    using (author_id);

-- name: right_join_using
--@ truth: merged name author?
select author_id as merged, publishers.name, authors.name as author
from authors
right join (select publisher_id + 1 as author_id, name from publishers) as publishers
    using (author_id);

-- name: natural_full_join
--@ truth: name country? city?
select name, country, city
from authors
natural full join publishers;

-- name: chain_of_left_joins
--@ truth: author_id book_id? review_id? stars?
select authors.author_id, books.book_id, reviews.review_id, reviews.stars
from authors
left join books
    on books.author_id = authors.author_id
left join reviews
    on reviews.book_id = books.book_id;

-- name: inner_after_left
--@ truth: author_id book_id review_id
select authors.author_id, books.book_id, reviews.review_id
from authors
left join books
    on books.author_id = authors.author_id
inner join reviews
    on reviews.book_id = books.book_id;

-- name: inner_under_left
--@ truth: author_id book_id? review_id?
select authors.author_id, books.book_id, reviews.review_id
from authors
left join (
    books
    inner join reviews
        on reviews.book_id = books.book_id
)
    on books.author_id = authors.author_id;

-- name: left_under_left
--@ truth: author_id book_id? review_id?
select authors.author_id, books.book_id, reviews.review_id
from authors
left join (
    books
    left join reviews
        on reviews.book_id = books.book_id
)
    on books.author_id = authors.author_id;

-- name: where_reduces_left_join
--@ truth: author_id book_id subtitle?
--@ given: {"price": "1"}
select authors.author_id, books.book_id, books.subtitle
from authors
left join books
    on books.author_id = authors.author_id
where books.price > :price;

-- name: where_reduces_chain
--@ truth: author_id book_id review_id
select authors.author_id, books.book_id, reviews.review_id
from authors
left join books
    on books.author_id = authors.author_id
left join reviews
    on reviews.book_id = books.book_id
where reviews.stars >= 1;

-- name: where_reduces_full_to_left
--@ truth: author_id publisher_id?
select authors.author_id, publishers.publisher_id
from authors
full join publishers
    on publishers.name = authors.name
where authors.author_id > 0;

-- name: where_reduces_full_to_inner
--@ truth: author_id publisher_id
select authors.author_id, publishers.publisher_id
from authors
full join publishers
    on publishers.publisher_id = authors.author_id
where authors.author_id = publishers.publisher_id;

-- name: where_is_null_keeps_padding
--@ truth: author_id book_id?
select authors.author_id, books.book_id
from authors
left join books
    on books.author_id = authors.author_id
where books.book_id is null;

-- name: where_or_keeps_padding
--@ truth: author_id book_id?
select authors.author_id, books.book_id
from authors
left join books
    on books.author_id = authors.author_id
where books.price > 1 or authors.author_id > 0;

-- name: where_or_reduces
--@ truth: author_id book_id
select authors.author_id, books.book_id
from authors
left join books
    on books.author_id = authors.author_id
where books.price > 100 or books.title is not null;

-- name: condition_of_left_join_proves_nothing_left
--@ truth: title subtitle? name?
select books.title, books.subtitle, publishers.name
from books
left join publishers
    on publishers.publisher_id = books.publisher_id and books.subtitle is not null;

-- name: condition_of_left_join_proves_its_side_only
--@ truth: name city?
select books.title as name, publishers.city
from books
left join publishers
    on publishers.publisher_id = books.publisher_id and publishers.city is not null;

-- name: condition_of_inner_join_proves
--@ truth: title publisher_id city
select books.title, books.publisher_id, publishers.city
from books
inner join publishers
    on publishers.publisher_id = books.publisher_id and publishers.city is not null;

-- name: foreign_key_never_pads
--@ truth: book_id name
select books.book_id, authors.name
from books
left join authors
    on authors.author_id = books.author_id;

-- name: foreign_key_other_way_round
--@ truth: book_id name
select books.book_id, authors.name
from authors
right join books
    on books.author_id = authors.author_id;

-- name: foreign_key_null
--@ truth: book_id name?
select books.book_id, publishers.name
from books
left join publishers
    on publishers.publisher_id = books.publisher_id;

-- name: foreign_key_not_null_by_where
--@ truth: book_id publisher_id name
select books.book_id, books.publisher_id, publishers.name
from books
left join publishers
    on publishers.publisher_id = books.publisher_id
where books.publisher_id is not null;

-- name: foreign_key_and_more
--@ truth: book_id name?
select books.book_id, authors.name
from books
left join authors
    on authors.author_id = books.author_id and authors.country = 'se';

-- name: foreign_key_filtered_side
--@ truth: book_id name?
select books.book_id, authors.name
from books
left join (select author_id, name from authors where country = 'se') as authors
    on authors.author_id = books.author_id;

-- name: foreign_key_limited_side
--@ truth: book_id name?
select books.book_id, authors.name
from books
left join (select author_id, name from authors order by author_id desc limit 1) as authors
    on authors.author_id = books.author_id;

-- name: foreign_key_locked_side
--@ truth: book_id name?
select books.book_id, authors.name
from books
left join (select author_id, name from authors where author_id <> 1 for update skip locked) as authors
    on authors.author_id = books.author_id;

-- name: foreign_key_sampled_side
--@ truth: book_id name?
select books.book_id, authors.name
from books
left join authors tablesample bernoulli (0)
    on authors.author_id = books.author_id;

-- name: foreign_key_wrong_column
--@ truth: book_id name?
--@ before: insert into books (book_id, author_id, title, price) values (77, 1, 'Z', 1)
select books.book_id, authors.name
from books
left join authors
    on authors.author_id = books.book_id;

-- name: foreign_key_of_padded_row
--@ truth: name book_id? author?
select publishers.name, books.book_id, authors.name as author
from publishers
left join books
    on books.publisher_id = publishers.publisher_id
left join authors
    on authors.author_id = books.author_id;

-- name: foreign_key_full_join
--@ truth: book_id? name
select books.book_id, authors.name
from books
full join authors
    on authors.author_id = books.author_id;

-- name: foreign_key_chain
--@ truth: line_no title name
select order_items.line_no, books.title, authors.name
from order_items
left join books
    on books.book_id = order_items.book_id
left join authors
    on authors.author_id = books.author_id;

-- name: foreign_key_nested
--@ truth: line_no title name
select order_items.line_no, books.title, authors.name
from order_items
left join (
    books
    inner join authors
        on authors.author_id = books.author_id
)
    on books.book_id = order_items.book_id;

-- name: foreign_key_of_two_columns
--@ truth: shipment_id quantity
select shipments.shipment_id, order_items.quantity
from shipments
left join order_items
    on order_items.order_id = shipments.order_id and order_items.line_no = shipments.line_no;

-- name: foreign_key_of_two_columns_crossed
--@ truth: shipment_id quantity?
--@ before: insert into order_items values (3, 5, 1); insert into shipments values (7, 3, 5, 'x')
select shipments.shipment_id, order_items.quantity
from shipments
left join order_items
    on order_items.order_id = shipments.line_no and order_items.line_no = shipments.order_id;

-- name: foreign_key_match_simple
--@ truth: parcel_id quantity?
select parcels.parcel_id, order_items.quantity
from parcels
left join order_items
    on order_items.order_id = parcels.order_id and order_items.line_no = parcels.line_no;

-- name: foreign_key_match_simple_given
--@ truth: parcel_id quantity
select parcels.parcel_id, order_items.quantity
from parcels
left join order_items
    on order_items.order_id = parcels.order_id and order_items.line_no = parcels.line_no
where parcels.line_no is not null;

-- name: foreign_key_match_full
--@ truth: parcel_id quantity?
select parcels.parcel_id, order_items.quantity
from parcels
left join order_items
    on order_items.order_id = parcels.first_order_id and order_items.line_no = parcels.first_line_no;

-- name: foreign_key_in_subquery
--@ truth: book_id name
select counted.book_id, authors.name
from (select book_id, author_id from books where price > 1) as counted
left join authors
    on authors.author_id = counted.author_id;

-- name: scalar_subquery_by_foreign_key
--@ truth: book_id name
select books.book_id, (select authors.name from authors where authors.author_id = books.author_id) as name
from books;

-- name: scalar_subquery_by_nullable_key
--@ truth: book_id name?
select
    books.book_id,
    (select publishers.name from publishers where publishers.publisher_id = books.publisher_id) as name
from books;

-- name: lateral_cross
--@ truth: author_id title
select authors.author_id, newest.title
from authors
cross join lateral (
    select title from books where books.author_id = authors.author_id order by created_at limit 1
) as newest;

-- name: lateral_aggregate_left
--@ truth: author_id how_many total?
select authors.author_id, sums.how_many, sums.total
from authors
left join lateral (
    select count(*) as how_many, sum(price) as total from books where books.author_id = authors.author_id
) as sums
    on true;

-- name: left_join_on_true_of_one_row
--@ truth: author_id one
select authors.author_id, ones.one
from authors
left join (select 1 as one) as ones
    on true;

-- name: left_join_on_false
--@ truth: author_id name?
select authors.author_id, publishers.name
from authors
left join publishers
    on false;

-- name: padded_constant
--@ truth: author_id mark? or_else
select authors.author_id, marked.mark, coalesce(marked.mark, 'none') as or_else
from authors
left join (select author_id, 'here' as mark from books) as marked
    on marked.author_id = authors.author_id;

-- name: padded_coalesce
--@ truth: author_id label?
select authors.author_id, labelled.label
from authors
left join (select author_id, coalesce(subtitle, 'none') as label from books) as labelled
    on labelled.author_id = authors.author_id;

-- name: padded_row
--@ truth: author_id whole?
select authors.author_id, books as whole
from authors
left join books
    on books.author_id = authors.author_id;

-- name: whole_row
--@ truth: whole is_missing
select books as whole, books is null as is_missing
from books;

-- name: whole_row_of_subquery
--@ truth: whole title?
select named as whole, (named).subtitle as title
from (select book_id, subtitle from books) as named;

-- name: padded_domain
--@ truth: order_id email?
select orders.order_id, customers.email
from orders
left join customers
    on customers.customer_id = orders.customer_id and customers.is_active is false;

-- name: domain_of_padded_cast
--@ truth: customer_id email?
--@ before: update customers set email = (select email from customers where false)
select customer_id, email from customers;

-- name: semi_join_proves
--@ truth: publisher_id
select publisher_id
from books
where publisher_id in (select publisher_id from publishers);

-- name: exists_proves_nothing_of_inner
--@ truth: book_id publisher_id?
select book_id, publisher_id
from books
where exists(select 1 from authors where authors.author_id = books.author_id);

-- name: left_join_then_where_on_strict_expression
--@ truth: author_id title
select authors.author_id, books.title
from authors
left join books
    on books.author_id = authors.author_id
where upper(books.title || 'x') like 'A%';

-- name: left_join_then_where_on_lax_expression
--@ truth: author_id title?
select authors.author_id, books.title
from authors
left join books
    on books.author_id = authors.author_id
where coalesce(books.title, 'none') <> 'x';

-- name: cross_join_of_values
--@ truth: author_id one two?
select authors.author_id, pairs.one, pairs.two
from authors
cross join (values (1, 'a'), (2, null)) as pairs (one, two);

-- name: left_join_lateral_values
--@ truth: book_id label
select books.book_id, labels.label
from books
left join lateral (values (books.title), ('x')) as labels (label)
    on true;

-- name: full_join_coalesced
--@ truth: id
select coalesce(authors.author_id, publishers.publisher_id) as id
from authors
full join publishers
    on publishers.publisher_id = authors.author_id;
