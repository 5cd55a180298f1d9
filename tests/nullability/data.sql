-- The rows that every witness begins with: each nullable column is NULL somewhere, each optional partner is missing
-- somewhere.
insert into authors (name, email, born, country, metadata, tags) values
('Ann', null, '1960-01-01', 'no', '{"a": null, "b": {"c": 1}, "list": [1, null]}', '{x,NULL}'),
('Bob', 'bob@example.org', null, 'se', '{}', '{}'),
('Cid', 'cid@example.org', '1970-05-05', 'no', '{"a": 1}', '{x,y}');

insert into publishers (publisher_id, name, city) values (1, 'Press', null), (2, 'House', 'Oslo'), (3, 'Idle', 'Rome');

insert into books (author_id, publisher_id, title, subtitle, price, pages, published, genre, rating) values
(1, 1, 'Alpha', null, 10, 100, '2001-01-01', 'novel', 4.5),
(1, null, 'Beta', 'a tale', 12.5, null, null, 'poetry', null),
(2, 2, 'Gamma', 'more', 7, 1, '2022-02-02', 'essay', 1);

insert into customers (customer_id, email, nickname, home, is_active, referred_by) values
(1, 'a@example.org', null, null, true, null),
(2, 'b@example.org', 'bee', row('Main', null), true, 1),
(3, 'c@example.org', 'cee', row(null, null), false, 2),
(4, 'd@example.org', 'dee', row('Side', 'Oslo'), true, null);

insert into orders (order_id, customer_id, status, placed_at, shipped_at, total, note) values
(1, 1, 'new', '2024-01-01', null, 22.5, null),
(2, 1, 'sent', '2024-02-01', '2024-02-03', 7, 'gift'),
(3, 2, 'paid', '2024-03-01', null, 0, 'empty');

insert into order_items (order_id, line_no, book_id, quantity, discount) values
(1, 1, 1, 1, null), (1, 2, 2, 1, 0.5), (2, 1, 3, 1, null);

insert into parcels (parcel_id, order_id, line_no, first_order_id, first_line_no, weight) values
(1, 1, 1, 1, 2, 1.5), (2, 77, null, null, null, 2);
insert into shipments (shipment_id, order_id, line_no, carrier) values (1, 1, 1, 'post'), (2, 2, 1, 'bike');

insert into reviews (review_id, book_id, customer_id, stars, body) values (1, 1, 1, 5, 'good'), (2, 1, null, 1, null);

insert into employees (employee_id, manager_id, name, salary, team) values
(1, null, 'Eva', null, 'top'), (2, 1, 'Finn', 10, 'sea'), (3, 2, 'Gil', 9, 'sea'), (4, 2, 'Hal', null, 'hut');

insert into contacts (contact_id, phone, fax, mail, web, kind) values
(1, '1', '1', null, 'w', null), (2, '2', null, 'm', 'w', 'home');

insert into events (event_id, happened_on, kind, payload, amount) values
(1, '2019-01-01', 'old', '{"a": {"b": null}}', null), (2, '2024-01-01', 'new', '{}', 5);

insert into vehicles (vehicle_id, plate, owner_id) values (1, 'AB', 1);
insert into trucks (vehicle_id, plate, owner_id, load_limit) values (2, 'CD', 77, 5);

insert into readings (reading_id, place, level) values (1, 'north', 5), (2, 'north', 6);
insert into marks (mark_id, worth) values (1, 1);
insert into late_marks (mark_id, worth) values (2, null);

insert into accounts (account_id, login) values (1, 'a'), (2, 'b');
insert into tokens (token_id, account_id, is_pinned) values (1, 1, true), (2, 2, false);
insert into shelves (shelf_id, label) values (1, 's');
insert into boxes (box_id, shelf_id) values (1, 1);

alter table audited disable trigger audited_blank;
insert into audited (audited_id, label, note, stamped_at) values (1, 'x', 'y', null);
alter table audited enable trigger audited_blank;
insert into drafts (draft_id, author_id, publisher_id, editor_id) values (1, 1, 1, 1);
insert into plain (plain_id, label, note, amount) overriding system value values
(101, null, null, null), (102, 'l', 'n', 1);

insert into secrets (secret_id, owner_name) values (1, 'postgres'), (2, 'nobody');
insert into secret_uses (use_id, secret_id) values (1, 1), (2, 2);
refresh materialized view author_names;
