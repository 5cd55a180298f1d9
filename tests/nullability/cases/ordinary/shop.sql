-- What applications ask for. `truth` lists the columns of each statement in order; with a question mark those that can
-- be NULL. They are so on the standing rows of data.sql, or after `before`, with the parameters of `given`.

-- name: get_book
--@ truth: book_id title subtitle? price pages? genre created_at price_cents subtitle_length?
--@ given: [{"book_id": "1"}, {"book_id": "2"}]
select book_id, title, subtitle, price, pages, genre, created_at, price_cents, subtitle_length
from books
where book_id = :book_id;

-- name: list_books_with_authors
--@ truth: book_id title author_name author_email? publisher_name?
select books.book_id, books.title, authors.name as author_name, authors.email as author_email, publishers.name as publisher_name
from books
inner join authors
    on authors.author_id = books.author_id
left join publishers
    on publishers.publisher_id = books.publisher_id
order by books.title;

-- name: authors_with_counts
--@ truth: author_id name book_count
select authors.author_id, authors.name, count(books.book_id) as book_count
from authors
left join books
    on books.author_id = authors.author_id
group by authors.author_id, authors.name
order by book_count desc;

-- name: author_totals
--@ truth: author_id how_many total cheapest best? average
--@ before: update books set rating = null
select
    author_id, count(*) as how_many, sum(price) as total, min(price) as cheapest, max(rating) as best,
    avg(price) as average
from books
group by author_id;

-- name: shop_totals
--@ truth: how_many total average? latest?
--@ before: truncate orders cascade
select count(*) as how_many, coalesce(sum(total), 0) as total, avg(total) as average, max(placed_at) as latest
from orders;

-- name: orders_of_customer
--@ truth: order_id status placed_at shipped_at? total note?
--@ given: {"customer_id": "1", "limit": "10"}
select order_id, status, placed_at, shipped_at, total, note
from orders
where customer_id = :customer_id
order by placed_at desc
limit :limit;

-- name: shipped_orders
--@ truth: order_id shipped_at email?
--@ before: update customers set email = (select email from customers where false)
select orders.order_id, orders.shipped_at, customers.email
from orders
inner join customers
    on customers.customer_id = orders.customer_id
where orders.shipped_at is not null;

-- name: slow_orders
--@ truth: order_id took
select order_id, shipped_at - placed_at as took
from orders
where shipped_at > placed_at + interval '1 day';

-- name: order_lines
--@ truth: line_no title quantity price discount? amount?
--@ given: {"order_id": "1"}
select
    order_items.line_no, books.title, order_items.quantity, books.price, order_items.discount,
    order_items.quantity * books.price * (1 - order_items.discount) as amount
from order_items
inner join books
    on books.book_id = order_items.book_id
where order_items.order_id = :order_id
order by order_items.line_no;

-- name: order_lines_with_discount
--@ truth: line_no discount amount
--@ given: {"order_id": "1"}
select
    order_items.line_no, coalesce(order_items.discount, 0) as discount,
    order_items.quantity * books.price * (1 - coalesce(order_items.discount, 0)) as amount
from order_items
inner join books
    on books.book_id = order_items.book_id
where order_items.order_id = :order_id;

-- name: create_order
--@ truth: order_id customer_id status placed_at total note?
--@ given: {"order_id": "50", "customer_id": "1", "note": null}
insert into orders (order_id, customer_id, note)
values (:order_id, :customer_id, :note)
returning order_id, customer_id, status, placed_at, total, note;

-- name: send_order
--@ truth: order_id status shipped_at
--@ given: {"order_id": "1"}
update orders
set status = 'sent', shipped_at = now()
where order_id = :order_id
returning order_id, status, shipped_at;

-- name: rename_author
--@ truth: author_id name email?
--@ given: {"author_id": "1", "name": "x"}
update authors
set name = :name
where author_id = :author_id
returning author_id, name, email;

-- name: upsert_publisher
--@ truth: publisher_id name city? was_inserted
--@ given: {"publisher_id": "1", "name": "x", "city": null}
insert into publishers (publisher_id, name, city)
values (:publisher_id, :name, :city)
on conflict (publisher_id) do update set name = excluded.name, city = excluded.city
returning publisher_id, name, city, xmax = 0 as was_inserted;

-- name: delete_review
--@ truth: review_id stars body?
--@ given: {"review_id": "2"}
delete from reviews
where review_id = :review_id
returning review_id, stars, body;

-- name: search_books
--@ truth: book_id title subtitle?
--@ given: {"term": "a", "slowest": null, "limit": "5"}
select book_id, title, subtitle
from books
where title ilike '%' || :term || '%'
order by title
limit :limit;

-- name: search_subtitles
--@ truth: book_id subtitle
--@ given: {"term": "a"}
select book_id, subtitle
from books
where subtitle ilike '%' || :term || '%';

-- name: books_between
--@ truth: book_id published year
--@ given: {"first": "1900-01-01", "last": "2100-01-01"}
select book_id, published, extract(year from published)::integer as year
from books
where published between :first and :last;

-- name: has_books
--@ truth: has_books
--@ given: {"author_id": "77"}
select exists(select 1 from books where author_id = :author_id) as has_books;

-- name: authors_with_flag
--@ truth: author_id name has_books
select
    author_id, name,
    exists(select 1 from books where books.author_id = authors.author_id) as has_books
from authors;

-- name: latest_review_of_each_book
--@ truth: book_id title stars? body?
select books.book_id, books.title, latest.stars, latest.body
from books
left join lateral (
    select reviews.stars, reviews.body
    from reviews
    where reviews.book_id = books.book_id
    order by reviews.review_id desc
    limit 1
) as latest
    on true;

-- name: average_stars
--@ truth: book_id title stars? rounded
select
    books.book_id, books.title,
    (select avg(reviews.stars) from reviews where reviews.book_id = books.book_id) as stars,
    coalesce((select round(avg(reviews.stars), 1) from reviews where reviews.book_id = books.book_id), 0) as rounded
from books;

-- name: numbered_orders
--@ truth: order_id number running previous?
select
    order_id,
    row_number() over (partition by customer_id order by placed_at) as number,
    sum(total) over (partition by customer_id order by placed_at) as running,
    lag(total) over (partition by customer_id order by placed_at) as previous
from orders;

-- name: ranked_books
--@ truth: title place share
select
    title,
    rank() over (order by price desc) as place,
    percent_rank() over (order by price) as share
from books;

-- name: price_band
--@ truth: title band
select title, case when price < 10 then 'cheap' when price < 20 then 'fair' else 'dear' end as band
from books;

-- name: price_band_without_else
--@ truth: title band?
select title, case when price > 1000 then 'dear' end as band
from books;

-- name: full_name
--@ truth: label
select upper(name) || ' (' || country || ')' as label
from authors;

-- name: contact_line
--@ truth: line other?
select concat(name, ' ', email) as line, name || ' ' || email as other
from authors;

-- name: display_name
--@ truth: customer_id shown
select customer_id, coalesce(nickname, 'customer ' || customer_id) as shown
from customers;

-- name: books_by_genre
--@ truth: genre how_many titles cheapest
select genre, count(*) as how_many, array_agg(title order by title) as titles, min(price) as cheapest
from books
group by genre
having count(*) > 0;

-- name: monthly_sales
--@ truth: month how_many total
select date_trunc('month', placed_at) as month, count(*) as how_many, sum(total) as total
from orders
group by date_trunc('month', placed_at)
order by month;

-- name: sales_of_every_day
--@ truth: day how_many total? sum
select
    days.day, count(orders.order_id) as how_many, sum(orders.total) as total, coalesce(sum(orders.total), 0) as sum
from generate_series(date '2024-01-01', date '2024-01-03', interval '1 day') as days (day)
left join orders
    on orders.placed_at::date = days.day::date
group by days.day;

-- name: customer_documents
--@ truth: customer_id orders
select
    customers.customer_id,
    coalesce(
        (
            select jsonb_agg(jsonb_build_object('id', orders.order_id, 'total', orders.total) order by orders.order_id)
            from orders
            where orders.customer_id = customers.customer_id
        ),
        '[]'
    ) as orders
from customers;

-- name: customer_documents_or_null
--@ truth: customer_id orders?
select
    customers.customer_id,
    (select json_agg(orders.total) from orders where orders.customer_id = customers.customer_id) as orders
from customers;

-- name: order_document
--@ truth: document
--@ given: {"order_id": "1"}
select jsonb_build_object('order', orders.order_id, 'note', orders.note) as document
from orders
where orders.order_id = :order_id;

-- name: author_settings
--@ truth: author_id theme? metadata
select author_id, metadata ->> 'theme' as theme, metadata
from authors;

-- name: author_theme
--@ truth: theme
select coalesce(metadata ->> 'theme', 'light') as theme
from authors;

-- name: team_of
--@ truth: employee_id name manager?
select employees.employee_id, employees.name, managers.name as manager
from employees
left join employees as managers
    on managers.employee_id = employees.manager_id;

-- name: managed
--@ truth: employee_id name manager_id manager
select employees.employee_id, employees.name, employees.manager_id, managers.name as manager
from employees
inner join employees as managers
    on managers.employee_id = employees.manager_id;

-- name: staff_tree
--@ truth: employee_id name depth path
--@ given: {"root": "1"}
with recursive staff as (
    select employee_id, name, 1 as depth, array[employee_id] as path
    from employees
    where employee_id = :root
    union all
    select employees.employee_id, employees.name, staff.depth + 1, staff.path || employees.employee_id
    from employees
    inner join staff
        on staff.employee_id = employees.manager_id
)

select employee_id, name, depth, path from staff;

-- name: best_customers
--@ truth: customer_id email? spent
--@ before: update customers set email = (select email from customers where false)
with spending as (
    select customer_id, sum(total) as spent
    from orders
    group by customer_id
)

select customers.customer_id, customers.email, spending.spent
from customers
inner join spending
    on spending.customer_id = customers.customer_id
order by spending.spent desc;

-- name: books_of_ids
--@ truth: book_id title publisher_id?
--@ given: {"ids": "{1,2}"}
select book_id, title, publisher_id
from books
where book_id = any(:ids);

-- name: books_of_publishers
--@ truth: book_id publisher_id name
--@ given: {"ids": "{1,2}"}
select books.book_id, books.publisher_id, publishers.name
from books
left join publishers
    on publishers.publisher_id = books.publisher_id
where books.publisher_id = any(:ids) and publishers.name is not null;

-- name: everyone
--@ truth: kind id name?
select 'author' as kind, author_id as id, name
from authors
union all
select 'customer', customer_id, nickname
from customers;

-- name: all_names
--@ truth: name
select name from authors
union
select name from publishers
order by name;

-- name: count_active
--@ truth: active inactive share?
--@ before: truncate customers cascade
select
    count(*) filter (where is_active) as active,
    count(*) filter (where not is_active) as inactive,
    avg(case when is_active then 1 else 0 end) as share
from customers;

-- name: next_order
--@ truth: order_id status
with next as (
    select order_id
    from orders
    where status = 'new'
    order by placed_at
    limit 1
    for update skip locked
)

update orders
set status = 'paid'
from next
where orders.order_id = next.order_id
returning orders.order_id, orders.status;

-- name: move_order
--@ truth: order_id customer_id email?
--@ given: {"order_id": "1", "customer_id": "2"}
--@ before: update customers set email = (select email from customers where false)
update orders
set customer_id = customers.customer_id
from customers
where orders.order_id = :order_id and customers.customer_id = :customer_id
returning orders.order_id, orders.customer_id, customers.email;

-- name: clear_reviews
--@ truth: review_id title body?
--@ given: {"author_id": "1"}
delete from reviews
using books
where books.book_id = reviews.book_id and books.author_id = :author_id
returning reviews.review_id, books.title, reviews.body;

-- name: distinct_countries
--@ truth: country
select distinct country from authors order by country;

-- name: newest_book_of_each_author
--@ truth: author_id title published?
select distinct on (author_id) author_id, title, published
from books
order by author_id, published desc;

-- name: items_with_orders
--@ truth: order_id line_no status title
select order_items.order_id, order_items.line_no, orders.status, books.title
from order_items
left join orders
    on orders.order_id = order_items.order_id
left join books
    on books.book_id = order_items.book_id;

-- name: reviews_with_customers
--@ truth: review_id stars nickname? is_active?
select reviews.review_id, reviews.stars, customers.nickname, customers.is_active
from reviews
left join customers
    on customers.customer_id = reviews.customer_id;

-- name: page_of_orders
--@ truth: order_id placed_at full_count
--@ given: {"limit": "2", "offset": "0"}
select order_id, placed_at, count(*) over () as full_count
from orders
order by placed_at, order_id
limit :limit offset :offset;

-- name: events_since
--@ truth: event_id kind payload amount?
--@ given: {"since": "2000-01-01", "kinds": "{old,new}"}
select event_id, kind, payload, amount
from events
where happened_on >= :since and kind = any(:kinds);

-- name: events_since_amount
--@ truth: event_id kind payload amount?
--@ given: {"since": "1900-01-01"}
select event_id, kind, payload, amount
from events
where happened_on >= :since;

-- name: simple_list
--@ truth: author_id name email?
select author_id, name, email from simple_authors;

-- name: view_of_both
--@ truth: book_id title subtitle? author_id name
select book_id, title, subtitle, author_id, name from book_authors;

-- name: add_plain
--@ truth: plain_id label? note stamped_at amount doubled
--@ given: {"label": null}
insert into plain (label) values (:label)
returning plain_id, label, note, stamped_at, amount, doubled;

-- name: server_time
--@ truth: now today version
select now() as now, current_date as today, version() as version;

-- name: tag_counts
--@ truth: tag? how_many
select tags.tag, count(*) as how_many
from authors
cross join unnest(authors.tags) as tags (tag)
group by tags.tag;

-- name: genres
--@ truth: genre
select unnest(enum_range(null::genre)) as genre;

-- name: tag_lists
--@ truth: author_id tags how_many
select author_id, array_to_string(tags, ', ') as tags, cardinality(tags) as how_many
from authors;

-- name: median_price
--@ truth: genre median names
select
    genre, percentile_cont(0.5) within group (order by price::float8) as median,
    string_agg(title, ', ' order by title) as names
from books
group by genre;

-- name: lock_book
--@ truth: book_id price
--@ given: {"book_id": "1"}
select book_id, price from books where book_id = :book_id for update;

-- name: quantity_of_book
--@ truth: quantity
--@ given: {"book_id": "77"}
select coalesce(sum(quantity), 0)::integer as quantity from order_items where book_id = :book_id;

-- name: age_of_orders
--@ truth: order_id days is_late
select
    order_id, current_date - placed_at::date as days,
    shipped_at is null and placed_at < now() - interval '3 days' as is_late
from orders;
