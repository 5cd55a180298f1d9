-- What came with 18.
alter table plain add column tripled integer generated always as (amount * 3) virtual;
alter table contacts add column city text;
insert into contacts (contact_id, phone, fax, web, city) select 98, '0', '0', 'w', null;
alter table contacts add constraint contacts_city_not_null not null city not valid;
alter table contacts add column zip text;
alter table contacts add constraint contacts_zip_check check (zip is not null) not enforced;
alter table drafts add constraint drafts_editor_id_fkey
foreign key (editor_id) references employees (employee_id) not enforced;
alter table contacts alter column city set default 'here';
