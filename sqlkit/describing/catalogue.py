"""What ``Schema`` asks the catalogue; each query takes the OIDs that are wanted, as often as it names them."""

from __future__ import annotations

__all__ = ["ATTRIBUTES", "CONSTRAINTS", "DOMAINS", "FUNCTIONS", "KEYS", "RELATIONS"]

#: Each relation with its descendants, which a query on it reads too ($1, an oid[]).
RELATIONS = """
with recursive family as (
    select wanted.relation_id as ancestor, wanted.relation_id as member
    from unnest(%s::oid[]) as wanted (relation_id)
    union
    select family.ancestor, pg_inherits.inhrelid
    from family
    inner join pg_inherits on pg_inherits.inhparent = family.member
)
select
    c.oid,
    n.nspname,
    c.relname,
    c.relkind::text,
    c.relrowsecurity,
    exists (select from family where ancestor = c.oid and member <> c.oid),
    exists (
        select from family inner join pg_class as child on child.oid = family.member
        where family.ancestor = c.oid and child.relkind = 'f'
    ),
    coalesce((
        select bit_or(t.tgtype::int)
        from family inner join pg_trigger as t on t.tgrelid = family.member
        where family.ancestor = c.oid and t.tgenabled <> 'D' and (t.tgtype & 1) = 1 and (t.tgtype & 66) = 2
    ), 0),
    coalesce((
        select bit_or(t.tgtype::int) from pg_trigger as t
        where t.tgrelid = c.oid and t.tgenabled <> 'D' and (t.tgtype & 64) = 64
    ), 0),
    exists (select from pg_rewrite as r where r.ev_class = c.oid and r.ev_type <> '1'),
    (select r.ev_action::text from pg_rewrite as r where r.ev_class = c.oid and r.ev_type = '1' and c.relkind = 'v')
from pg_class as c
inner join pg_namespace as n on n.oid = c.relnamespace
where c.oid = any(%s::oid[])
"""

#: Columns; not null only where no member of the family lacks it and none is foreign.
ATTRIBUTES = """
with recursive family as (
    select wanted.relation_id as ancestor, wanted.relation_id as member
    from unnest(%s::oid[]) as wanted (relation_id)
    union
    select family.ancestor, pg_inherits.inhrelid
    from family
    inner join pg_inherits on pg_inherits.inhparent = family.member
)
select
    a.attrelid,
    a.attnum,
    a.attname,
    a.atttypid,
    a.atttypmod,
    not exists (
        select
        from family
        inner join pg_attribute as held on held.attrelid = family.member and held.attname = a.attname
        inner join pg_class as member on member.oid = family.member
        where family.ancestor = a.attrelid and (not held.attnotnull or member.relkind not in ('r', 'p') or exists (
            select from pg_constraint as con
            where
                con.conrelid = family.member
                and con.contype = 'n'
                and not con.convalidated
                and con.conkey = array[held.attnum]
        ))
    ),
    a.attnotnull and not exists (
        select from pg_constraint as con
        where con.conrelid = a.attrelid and con.contype = 'n' and not con.convalidated and con.conkey = array[a.attnum]
    ),
    a.attgenerated::text,
    a.attidentity::text,
    pg_get_expr(d.adbin, d.adrelid) is not null,
    d.adbin::text
from pg_attribute as a
left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = any(%s::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum
"""

#: Checks that hold for every row of the family, and foreign keys that hold whenever a statement begins.
CONSTRAINTS = """
with recursive family as (
    select wanted.relation_id as ancestor, wanted.relation_id as member
    from unnest(%s::oid[]) as wanted (relation_id)
    union
    select family.ancestor, pg_inherits.inhrelid
    from family
    inner join pg_inherits on pg_inherits.inhparent = family.member
)
select
    con.conrelid,
    con.contype::text,
    con.conname,
    con.conkey::int[],
    con.confrelid,
    con.confkey::int[],
    con.conpfeqop::oid[]::int8[],
    con.confdeltype::text || con.confupdtype::text,
    con.conbin::text
from pg_constraint as con
inner join pg_class as c on c.oid = con.conrelid
where
    con.conrelid = any(%s::oid[])
    and con.contype in ('c', 'f')
    and con.convalidated
    and coalesce((to_jsonb(con) ->> 'conenforced')::bool, true)
    and c.relkind in ('r', 'p')
    and not exists (
        select
        from family
        inner join pg_class as member on member.oid = family.member
        where family.ancestor = con.conrelid and member.oid <> con.conrelid and (
            member.relkind = 'f'
            or con.contype = 'f' and c.relkind = 'r'
            or con.contype = 'c' and not exists (
                select from pg_constraint as held
                where
                    held.conrelid = member.oid
                    and held.contype = 'c'
                    and held.conname = con.conname
                    and held.convalidated
                    and coalesce((to_jsonb(held) ->> 'conenforced')::bool, true)
            )
        )
    )
    and (con.contype = 'c' or (
        not con.condeferrable
        and not coalesce((to_jsonb(con) ->> 'conperiod')::bool, false)
        and not exists (
            select from pg_class as either
            where either.oid in (con.conrelid, con.confrelid) and (either.relrowsecurity or either.relkind = 'f')
        )
        and not exists (select from pg_trigger as t where t.tgconstraint = con.oid and t.tgenabled = 'D')
    ))
"""

#: Unique keys that no two rows share, ever: valid, immediate, whole, without expressions.
KEYS = """
select
    i.indrelid,
    c.relname,
    (select array_agg(key.attnum::int order by key.place)
     from unnest(i.indkey::int2[]) with ordinality as key (attnum, place) where key.place <= i.indnkeyatts),
    (select array_agg(key.opclass::int8 order by key.place)
     from unnest(i.indclass::oid[]) with ordinality as key (opclass, place) where key.place <= i.indnkeyatts),
    (select array_agg(key.collation_id::int8 order by key.place)
     from unnest(i.indcollation::oid[]) with ordinality as key (collation_id, place) where key.place <= i.indnkeyatts),
    i.indisprimary,
    i.indpred is not null,
    i.indexprs is not null,
    i.indimmediate
from pg_index as i
inner join pg_class as c on c.oid = i.indexrelid
where
    i.indrelid = any(%s::oid[])
    and i.indisunique
    and i.indisvalid
    and (
        exists (select from pg_class as p where p.oid = i.indrelid and p.relkind = 'p')
        or not exists (select from pg_inherits as child where child.inhparent = i.indrelid)
    )
order by i.indisprimary desc, c.relname
"""

FUNCTIONS = """
select
    p.oid,
    n.nspname = 'pg_catalog' and p.oid < 16384,
    p.proname,
    p.prosrc,
    l.lanname,
    p.proisstrict,
    p.proretset,
    p.provolatile::text,
    p.prokind::text,
    p.prorettype
from pg_proc as p
inner join pg_namespace as n on n.oid = p.pronamespace
inner join pg_language as l on l.oid = p.prolang
where p.oid = any(%s::oid[])
"""

DOMAINS = """
with recursive chain as (
    select t.oid as domain, t.typbasetype as base, t.typnotnull
    from pg_type as t
    where t.oid = any(%s::oid[]) and t.typtype = 'd'
    union all
    select chain.domain, t.typbasetype, t.typnotnull
    from chain
    inner join pg_type as t on t.oid = chain.base and t.typtype = 'd'
)
select chain.domain, bool_or(chain.typnotnull and not exists (
    select from pg_constraint as con where con.contypid = chain.domain and con.contype = 'n' and not con.convalidated
)) from chain group by chain.domain
"""
