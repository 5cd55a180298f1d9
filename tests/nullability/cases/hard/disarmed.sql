-- What looks like a proof and is none: triggers, rules, constraints that do not hold, tables of others.

-- name: trigger_before_insert
--@ truth: audited_id label? note?
insert into audited (audited_id, label) values (7, 'x')
returning audited_id, label, note;

-- name: trigger_before_update
--@ truth: audited_id label? note?
update audited set label = 'x'
returning audited_id, label, note;

-- name: trigger_before_update_and_where
--@ truth: audited_id label? stamped_at?
update audited set note = 'x' where label is not null
returning audited_id, label, stamped_at;

-- name: trigger_before_upsert
--@ truth: audited_id label?
insert into audited (audited_id, label) values (1, 'x')
on conflict (audited_id) do update set label = 'y'
returning audited_id, label;

-- name: trigger_in_cte
--@ truth: label?
with made as (
    insert into audited (audited_id, label) values (7, 'x') returning label
)

select label from made;

-- name: trigger_does_not_touch_delete
--@ truth: audited_id label
delete from audited where label is not null
returning audited_id, label;

-- name: trigger_old_row
--@ version: 18
--@ truth: was now?
update audited set note = 'x' where label is not null
returning old.label as was, new.label as now;

-- name: trigger_of_merge
--@ version: 17
--@ truth: audited_id label?
merge into audited
using (values (1, 'x')) as source (id, label)
    on audited.audited_id = source.id
when matched then update set label = source.label
returning audited.audited_id, audited.label;

-- name: trigger_instead_of_insert
--@ truth: label?
insert into plain_labels (plain_id, label) values (7, 'x')
returning label;

-- name: trigger_instead_of_update
--@ truth: label?
update plain_labels set label = 'x'
returning label;

-- name: trigger_instead_of_gives_null_key
--@ truth: plain_id?
--@ given: {"id": null}
insert into plain_labels (plain_id) values (:id)
returning plain_id;

-- name: check_not_null
--@ truth: phone fax? mail?
select phone, fax, mail from contacts;

-- name: check_not_valid
--@ truth: contact_id web?
select contact_id, web from contacts;

-- name: check_with_null_is_no_failure
--@ truth: contact_id kind?
select contact_id, kind from contacts;

-- name: check_of_one_of_two
--@ truth: either
select coalesce(fax, mail) as either from contacts;

-- name: check_of_padded_row
--@ truth: order_id phone?
select orders.order_id, contacts.phone
from orders
left join contacts
    on contacts.contact_id = orders.order_id;

-- name: check_behind_insert
--@ truth: phone web
--@ given: {"phone": "1", "web": "w"}
insert into contacts (contact_id, phone, fax, web) values (55, :phone, 'f', :web)
returning phone, web;

-- name: check_behind_update
--@ truth: phone web
--@ given: {"web": "w"}
update contacts set web = :web, phone = phone
where contact_id = 1
returning phone, web;

-- name: check_not_enforced
--@ version: 18
--@ truth: contact_id zip?
select contact_id, zip from contacts;

-- name: not_null_not_valid
--@ version: 18
--@ truth: contact_id city?
select contact_id, city from contacts;

-- name: foreign_key_not_enforced
--@ version: 18
--@ truth: draft_id name?
--@ before: insert into drafts values (7, 1, 1, 777)
select drafts.draft_id, employees.name
from drafts
left join employees
    on employees.employee_id = drafts.editor_id;

-- name: foreign_key_not_valid
--@ truth: draft_id name?
--@ before: alter table drafts drop constraint drafts_publisher_id_fkey; insert into drafts values (7, 1, 777, 1); alter table drafts add constraint drafts_publisher_id_fkey foreign key (publisher_id) references publishers (publisher_id) not valid
select drafts.draft_id, publishers.name
from drafts
left join publishers
    on publishers.publisher_id = drafts.publisher_id;

-- name: foreign_key_deferrable
--@ truth: draft_id name?
--@ before: set constraints drafts_author_id_fkey deferred; insert into drafts values (7, 777, 1, 1)
select drafts.draft_id, authors.name
from drafts
left join authors
    on authors.author_id = drafts.author_id;

-- name: foreign_key_of_parent_is_not_the_childs
--@ truth: vehicle_id email?
select vehicles.vehicle_id, customers.email
from vehicles
left join customers
    on customers.customer_id = vehicles.owner_id;

-- name: foreign_key_of_only_the_parent
--@ truth: vehicle_id is_active
select vehicles.vehicle_id, customers.is_active
from only vehicles
left join customers
    on customers.customer_id = vehicles.owner_id;

-- name: foreign_key_to_rows_that_are_hidden
--@ truth: use_id owner_name?
--@ before: create role secrets_reader; grant select on all tables in schema public to secrets_reader; set local role secrets_reader
select secret_uses.use_id, secrets.owner_name
from secret_uses
left join secrets
    on secrets.secret_id = secret_uses.secret_id;

-- name: subquery_of_hidden_row
--@ truth: use_id owner_name?
--@ before: create role secrets_reader; grant select on all tables in schema public to secrets_reader; set local role secrets_reader
select
    use_id,
    (select secrets.owner_name from secrets where secrets.secret_id = secret_uses.secret_id) as owner_name
from secret_uses;

-- name: foreign_key_cascade_stopped_by_trigger
--@ truth: token_id login?
--@ before: delete from accounts
select tokens.token_id, accounts.login
from tokens
left join accounts
    on accounts.account_id = tokens.account_id;

-- name: foreign_key_cascade_stopped_by_rule
--@ truth: box_id label?
--@ before: delete from shelves
select boxes.box_id, shelves.label
from boxes
left join shelves
    on shelves.shelf_id = boxes.shelf_id;

-- name: foreign_table
--@ truth: entry_id? text?
--@ before: alter foreign table ledger options (set program 'printf ",\n"')
select entry_id, text from ledger;

-- name: foreign_table_is_not_null
-- From 17 the planner believes the column's NOT NULL and drops the condition.
--@ version: 17
--@ truth: text?
select text
from ledger
where text is not null;

-- name: foreign_table_proved_by_strict_condition
--@ truth: text
select text from ledger where text <> '' and entry_id > 0;

-- name: not_null_not_valid_proved_by_where
--@ version: 18
--@ truth: city
select city from contacts where city is not null;

-- name: inheritance_parent
--@ truth: vehicle_id owner_id
select vehicle_id, owner_id from vehicles;

-- name: inheritance_child_dropped_not_null
--@ version: 15-17
--@ truth: vehicle_id plate?
--@ before: update trucks set plate = null
select vehicle_id, plate from vehicles;

-- name: inheritance_only_the_parent
--@ truth: vehicle_id plate
select vehicle_id, plate from only vehicles;

-- name: inheritance_children_keep_not_null
--@ version: 18
--@ truth: vehicle_id plate
select vehicle_id, plate from vehicles;

-- name: partitions
--@ truth: event_id kind amount?
select event_id, kind, amount from events;

-- name: domain_in_outer_join
--@ truth: customer_id email?
select customers.customer_id, referrers.email
from customers
left join customers as referrers
    on referrers.customer_id = customers.referred_by;

-- name: domain_of_scalar_subquery
--@ truth: email?
select (select email from customers where false) as email;

-- name: domain_cast_of_empty_subquery
--@ truth: nickname?
select (select nickname from customers where false)::short_text as nickname;

-- name: strict_function_with_null_of_its_own
--@ truth: value? safe
select strict_null(1) as value, coalesce(strict_null(1), 0) as safe;

-- name: strict_operator_of_our_own
--@ truth: value?
select 1 ## 1 as value;

-- name: where_by_lax_operator_proves_nothing
--@ truth: subtitle?
select subtitle from books where lax_one(pages) = 1;

-- name: where_by_strict_own_function_proves
--@ truth: pages
select pages from books where strict_null(pages) is null and strict_plus(pages, 1) > 0;

-- name: check_that_children_do_not_have
--@ truth: mark_id worth?
select mark_id, worth from marks;

-- name: check_of_only_the_parent
--@ truth: mark_id worth
select mark_id, worth from only marks;

-- name: trigger_behind_a_view
--@ truth: label?
insert into audited_view (audited_id, label) values (7, 'x')
returning label;

-- name: trigger_behind_an_updated_view
--@ truth: label?
update audited_view set label = 'x' where label is not null
returning label;

-- name: trigger_of_a_partition
--@ truth: reading_id level?
insert into readings (reading_id, place, level) values (7, 'south', 5)
returning reading_id, level;

-- name: trigger_of_the_partition_that_a_row_moves_to
--@ truth: reading_id level?
update readings set place = 'south', level = 7
returning reading_id, level;

-- name: trigger_of_the_partition_that_a_known_row_moves_to
--@ truth: place level?
update readings set place = 'south' where level is not null
returning place, level;
