"""Random statements over the scratch schema: joins of all kinds, subqueries, CTEs, groups, windows, writes."""

from __future__ import annotations

from random import Random

from sqlkit.statements import Statement, parse_statement
from tests.nullability.expressions import KINDS, TYPES, Column, Maker

N, T, B, D, L, J = KINDS

#: Tables and views with some columns; the kinds of those are told by their order.
TABLES: dict[str, dict[str, str]] = {
    "authors": {"author_id": N, "name": T, "email": T, "born": D, "country": T, "metadata": J, "tags": L},
    "publishers": {"publisher_id": N, "name": T, "city": T},
    "books": {
        "book_id": N, "author_id": N, "publisher_id": N, "title": T, "subtitle": T, "price": N, "pages": N,
        "published": D, "price_cents": N, "subtitle_length": N,
    },
    "customers": {
        "customer_id": N, "email": T, "nickname": T, "is_active": B, "joined_on": D, "referred_by": N,
    },
    "orders": {"order_id": N, "customer_id": N, "total": N, "note": T},
    "order_items": {"order_id": N, "line_no": N, "book_id": N, "quantity": N, "discount": N},
    "parcels": {
        "parcel_id": N, "order_id": N, "line_no": N, "first_order_id": N, "first_line_no": N, "weight": N,
    },
    "shipments": {"shipment_id": N, "order_id": N, "line_no": N, "carrier": T},
    "reviews": {"review_id": N, "book_id": N, "customer_id": N, "stars": N, "body": T},
    "employees": {"employee_id": N, "manager_id": N, "name": T, "salary": N, "team": T},
    "contacts": {"contact_id": N, "phone": T, "fax": T, "mail": T, "web": T, "kind": T},
    "events": {"event_id": N, "happened_on": D, "kind": T, "payload": J, "amount": N},
    "vehicles": {"vehicle_id": N, "plate": T, "owner_id": N},
    "trucks": {"vehicle_id": N, "plate": T, "owner_id": N, "load_limit": N},
    "readings": {"reading_id": N, "place": T, "level": N},
    "marks": {"mark_id": N, "worth": N},
    "drafts": {"draft_id": N, "author_id": N, "publisher_id": N},
    "accounts": {"account_id": N, "login": T},
    "tokens": {"token_id": N, "account_id": N, "is_pinned": B},
    "shelves": {"shelf_id": N, "label": T},
    "boxes": {"box_id": N, "shelf_id": N},
    "plain": {"plain_id": N, "label": T, "note": T, "amount": N, "doubled": N},
    "audited": {"audited_id": N, "label": T, "note": T},
    "ledger": {"entry_id": N, "text": T},
    "book_authors": {"book_id": N, "title": T, "subtitle": T, "author_id": N, "name": T},
    "book_cards": {"book_id": N, "pages": N, "name": T},
    "audited_view": {"audited_id": N, "label": T},
    "author_books": {"author_id": N, "name": T, "book_id": N, "title": T},
    "titled_author_books": {"author_id": N, "name": T, "book_id": N, "title": T},
    "book_totals": {"author_id": N, "how_many": N, "total": N},
    "author_names": {"author_id": N, "name": T, "email": T},
}  # fmt: skip

#: What points where: joined so, the left side of the pair never misses the right one, or seems not to.
KEYS = [
    ("books", "author_id", "authors", "author_id"), ("books", "publisher_id", "publishers", "publisher_id"),
    ("customers", "referred_by", "customers", "customer_id"), ("orders", "customer_id", "customers", "customer_id"),
    ("order_items", "order_id", "orders", "order_id"), ("order_items", "book_id", "books", "book_id"),
    ("reviews", "book_id", "books", "book_id"), ("reviews", "customer_id", "customers", "customer_id"),
    ("employees", "manager_id", "employees", "employee_id"), ("vehicles", "owner_id", "customers", "customer_id"),
    ("drafts", "author_id", "authors", "author_id"), ("drafts", "publisher_id", "publishers", "publisher_id"),
    ("tokens", "account_id", "accounts", "account_id"), ("boxes", "shelf_id", "shelves", "shelf_id"),
]  # fmt: skip

#: Where rows are written, and the columns that are.
TARGETS = {
    "plain": ["plain_id", "label", "note", "amount"], "audited": ["audited_id", "label", "note"],
    "publishers": ["publisher_id", "name", "city"], "reviews": ["review_id", "book_id", "customer_id", "stars", "body"],
    "books": ["author_id", "publisher_id", "title", "subtitle", "price", "pages"],
    "contacts": ["contact_id", "phone", "fax", "mail", "web"],
    "readings": ["reading_id", "place", "level"],
    "marks": ["mark_id", "worth"],
    "audited_view": ["audited_id", "label"],
    "employees": ["employee_id", "manager_id", "name", "team"],
}  # fmt: skip


class Queries:
    """Makes one random statement after another, of a source of randomness that hypothesis may be."""

    def __init__(self, random: Random, version: int = 150000) -> None:
        self.random = random
        self.version = version
        self.names = 0
        self.ctes: dict[str, dict[str, str]] = {}
        self.make = Maker(random, self.subquery)

    def statement(self) -> str:
        """Return a statement; its parameters are called by number and kind: ``:p0_text``."""
        self.names, self.ctes, self.make.parameters = 0, {}, []
        depth = self.random.choice([1, 2, 2, 3])
        heads = [self.cte(depth - 1) for _ in range(self.random.choice([0, 0, 0, 1, 2]))]
        recursive = any(" union " in head for head in heads)
        head = f"with {'recursive ' if recursive else ''}{', '.join(heads)} " if heads else ""
        body = self.written(depth) if self.make.chance(0.2) else self.query([], None, depth)[0]
        return head + body

    def name(self) -> str:
        """Return a new alias."""
        self.names += 1
        return f"t{self.names}"

    def cte(self, depth: int) -> str:
        """Return a CTE, and let what follows read from it."""
        name = self.name()
        if self.make.chance(0.3):
            text, columns = self.recursive(name, depth)
        elif self.make.chance(0.25):
            text, columns = self.returning(depth)
        else:
            text, columns = self.query([], None, depth)
        self.ctes[name] = columns
        hint = self.make.pick("", "", "materialized ", "not materialized ")
        return f"{name} ({', '.join(columns)}) as {hint if ' t_self ' not in text else ''}({text})"

    def recursive(self, name: str, depth: int) -> tuple[str, dict[str, str]]:
        """Return a recursive term, which ends because it counts."""
        kinds = [self.make.pick(N, T) for _ in range(self.random.choice([1, 2, 3]))]
        columns = {"n": N} | {f"c{number}": kind for number, kind in enumerate(kinds)}
        source, scope = self.source([], depth)
        first = ", ".join(self.cast(self.make.expression(kind, scope, depth), kind) for kind in kinds)
        inner = [Column(f"{name}.{column}", kind) for column, kind in columns.items()]
        joined, more = self.source([], depth) if self.make.chance(0.5) else ("", [])
        step = self.make.pick("cross join", "inner join", "left join") if joined else ""
        on = "" if step in ("", "cross join") else f" on {self.condition(inner + more, depth)}"
        second = ", ".join(self.cast(self.make.expression(kind, inner + more, 1), kind) for kind in kinds)
        text = (
            f"select 1, {first} from {source} union select {name}.n + 1, {second} from {name} {step} {joined}{on} "
            f"where {name}.n < 3"
        )
        return text, columns

    @staticmethod
    def cast(expression: str, kind: str) -> str:
        """Return an expression with exactly the kind's type, as both arms of a recursion need."""
        return f"({expression})::{TYPES[kind]}"

    def condition(self, scope: list[Column], depth: int) -> str:
        """Return a condition for a where or an on."""
        if self.make.chance(0.4):
            column = self.random.choice(scope).sql if scope else "1"
            return f"{column} is not null"
        return self.make.expression(B, scope, min(depth, 2))

    def subquery(self, outer: list[Column], kind: str | None, depth: int) -> str:
        """Return a subquery of one column of a kind, which may look outside."""
        return self.query(outer, [kind] if kind else None, min(depth, 1))[0]

    def query(self, outer: list[Column], kinds: list[str] | None, depth: int) -> tuple[str, dict[str, str]]:
        """Return a query with its columns, of some kinds if they are asked for."""
        wanted = kinds or [self.random.choice(KINDS) for _ in range(self.random.choice([1, 2, 3, 4]))]
        names = {f"c{number}": kind for number, kind in enumerate(wanted)}
        if depth > 0 and self.make.chance(0.12):
            comparable = [kind if kind != J else T for kind in wanted] if not kinds else wanted
            names = {f"c{number}": kind for number, kind in enumerate(comparable)}
            operator = self.make.pick("union", "union all", "intersect", "except", "except all", "intersect all")
            arms = [self.select(outer, comparable, depth - 1) for _ in range(2)]
            return f"({arms[0]}) {operator} ({arms[1]}){self.cut()}", names
        return self.select(outer, wanted, depth) + self.cut(), names

    def cut(self) -> str:
        """Return a limit, sometimes."""
        return self.make.pick(" limit 1", " offset 1", " limit 2 offset 1") if self.make.chance(0.15) else ""

    def select(self, outer: list[Column], kinds: list[str], depth: int) -> str:
        """Return a select with columns of these kinds."""
        if self.make.chance(0.05):
            alone = ", ".join(f"{self.make.expression(k, outer, depth)} as c{i}" for i, k in enumerate(kinds))
            return f"select {alone}" + (f" where {self.condition(outer, depth)}" if self.make.chance(0.5) else "")
        source, scope = self.source(outer, depth)
        where = f" where {self.condition(scope + outer, depth)}" if self.make.chance(0.6) else ""
        if where and self.make.chance(0.3):
            where += f" and {self.condition(scope, depth)}"
        if self.make.chance(0.25):
            return self.grouped(source, scope, where, kinds, depth)
        items = []
        for number, kind in enumerate(kinds):
            windowed = self.make.chance(0.15)
            maker = self.make.window if windowed else self.make.expression
            items.append(f"{maker(kind, scope + ([] if windowed else outer), depth)} as c{number}")
        distinct = "distinct " if J not in kinds and self.make.chance(0.08) else ""
        return f"select {distinct}{', '.join(items)} from {source}{where}"

    def grouped(self, source: str, scope: list[Column], where: str, kinds: list[str], depth: int) -> str:
        """Return a select that groups, or aggregates everything."""
        keys = self.random.sample(scope, min(len(scope), self.random.choice([0, 1, 1, 2])))
        items = []
        for number, kind in enumerate(kinds):
            fitting = [key for key in keys if key.kind == kind]
            if fitting and self.make.chance(0.6):
                item = self.random.choice(fitting).sql
            elif keys and self.make.chance(0.3):
                item = self.make.expression(kind, keys, 1)
            else:
                item = self.make.aggregate(kind, scope, min(depth, 1))
            items.append(f"{item} as c{number}")
        text = f"select {', '.join(items)} from {source}{where}"
        if keys:
            listed = ", ".join(key.sql for key in keys)
            sets = f"grouping sets (({listed}), ({keys[0].sql}){self.make.pick(', ()', '')})"
            text += f" group by {self.make.pick(listed, listed, f'rollup ({listed})', f'cube ({listed})', sets)}"
        if self.make.chance(0.25):
            having = self.make.aggregate(N, scope, 0)
            text += f" having {having} {self.make.pick('is not null', '> 0', 'is null')}"
        return text

    def source(self, outer: list[Column], depth: int) -> tuple[str, list[Column]]:
        """Return what stands behind ``from``, and the columns that it brings."""
        if depth > 0 and self.make.chance(0.65):
            return self.join(outer, depth - 1)
        return self.relation(outer, depth)

    def relation(self, outer: list[Column], depth: int, table: str | None = None) -> tuple[str, list[Column]]:
        """Return a table, a CTE, a subquery, a list of values or a function, under an alias."""
        alias = self.name()
        form = self.random.random() if table is None else 0
        if self.ctes and table is None and self.make.chance(0.4):
            table = self.random.choice(list(self.ctes))
        if form < 0.7 or table:
            table = table or self.random.choice(list(TABLES))
            columns = self.ctes.get(table) or TABLES[table]
            only = "only " if table == "vehicles" and self.make.chance(0.4) else ""
            text = f"{only}{table} as {alias}"
        elif form < 0.85:
            inner, columns = self.query(outer if self.make.chance(0.5) else [], None, depth - 1)
            text = f"lateral ({inner}) as {alias}"
        elif form < 0.9:
            columns = {"c0": self.make.pick(N, T), "c1": T}
            rows = [", ".join(self.make.literal(kind) for kind in columns.values()) for _ in range(2)]
            text = f"(values ({'), ('.join(rows)})) as {alias} (c0, c1)"
        else:
            text, columns = self.function(alias, outer)
        return text, [Column(f"{alias}.{column}", kind) for column, kind in columns.items()]

    def function(self, alias: str, outer: list[Column]) -> tuple[str, dict[str, str]]:
        """Return a function in ``from``."""
        many = self.make.expression(L, outer, 1)
        json = self.make.expression(J, outer, 0)
        return self.random.choice(
            [
                (f"generate_series(1, {self.make.leaf(N, outer)}) as {alias} (c0)", {"c0": N}),
                (f"unnest({many}) as {alias} (c0)", {"c0": T}),
                (f"unnest({many}) with ordinality as {alias} (c0, c1)", {"c0": T, "c1": N}),
                (f"unnest({many}, array['a']) as {alias} (c0, c1)", {"c0": T, "c1": T}),
                (f"rows from (generate_series(1, 2), unnest({many})) as {alias} (c0, c1)", {"c0": N, "c1": T}),
                (f"numbers_and_null() as {alias} (c0)", {"c0": N}),
                (f"title_table() as {alias} (c0, c1)", {"c0": N, "c1": T}),
                (f"string_to_table({self.make.expression(T, outer, 1)}, ',') as {alias} (c0)", {"c0": T}),
                (f"jsonb_each_text({json}) as {alias} (c0, c1)", {"c0": T, "c1": T}),
                (f"jsonb_each({json}) as {alias} (c0, c1)", {"c0": T, "c1": J}),
            ]
        )

    def join(self, outer: list[Column], depth: int) -> tuple[str, list[Column]]:
        """Return a join of two sources, often along a foreign key."""
        kind = self.make.pick("inner", "left", "left", "left", "right", "full", "cross")
        if self.make.chance(0.6):
            return self.join_by_key(kind if kind != "cross" else "left", depth)
        left, columns = self.source(outer, depth)
        reach = outer + columns if kind in ("inner", "left", "cross") and self.make.chance(0.5) else outer
        right, more = self.relation(reach, depth) if reach is not outer else self.source(outer, depth)
        right = f"({right})" if " join " in right and not right.startswith("lateral") else right
        if kind == "cross":
            return f"{left} cross join {right}", columns + more
        return f"{left} {kind} join {right} on {self.on(columns, more, kind, depth)}", columns + more

    def on(self, left: list[Column], right: list[Column], kind: str, depth: int) -> str:
        """Return the condition of a join: what equals what, for a full join nothing else."""
        pairs = [(one.sql, other.sql) for one in left for other in right if one.kind == other.kind and one.kind != J]
        if pairs and (kind == "full" or self.make.chance(0.6)):
            one, other = self.random.choice(pairs)
            more = f" and {self.condition(left + right, 1)}" if kind != "full" and self.make.chance(0.25) else ""
            return f"{one} = {other}{more}"
        return self.make.pick("true", "false", self.condition(left + right, 1)) if kind != "full" else "true"

    def join_by_key(self, kind: str, depth: int) -> tuple[str, list[Column]]:
        """Return a join along a foreign key; the side that is pointed to may be more than a table."""
        table, column, target, key = self.random.choice(KEYS)
        left, columns = self.relation([], depth, table)
        right, more = self.relation([], depth, target)
        here, there = columns[0].sql.partition(".")[0], more[0].sql.partition(".")[0]
        on = f"{here}.{column} = {there}.{key}"
        if depth > 0 and self.make.chance(0.25):
            further, others = self.relation([], depth - 1)
            inside = self.make.pick("inner", "left")
            right = f"({right} {inside} join {further} on {self.on(more, others, inside, 1)})"
            more = more + others
        if kind != "full" and self.make.chance(0.15):
            on += f" and {self.condition(columns + more, 1)}"
        if column == key and self.make.chance(0.2):
            merged = Column(key, N)  # refused where another relation has a column of that name
            return f"{left} {kind} join {right} using ({key})", [merged, *columns, *more]
        sides = (left, right) if self.make.chance(0.8) else (right, left)
        first = f"({sides[0]})" if " join " in sides[0] and not sides[0].startswith("(") else sides[0]
        text = f"{first} {kind} join {sides[1]} on {on}"
        if depth > 0 and self.make.chance(0.3):
            further, others = self.relation([], depth - 1)
            inside = self.make.pick("inner", "left", "full", "right")
            text += f" {inside} join {further} on {self.on(columns + more, others, inside, 1)}"
            more = more + others
        return text, columns + more

    def written(self, depth: int) -> str:
        """Return a statement that writes and returns."""
        return self.returning(depth)[0]

    def returning(self, depth: int) -> tuple[str, dict[str, str]]:
        """Return an insert, update or delete with what it returns."""
        table = self.random.choice(list(TARGETS))
        scope = [Column(f"{table}.{column}", kind) for column, kind in TABLES[table].items()]
        verb = self.make.pick(
            "insert", "update", "update", "delete", *(["merge"] * 2 if self.version >= 170000 else [])
        )
        text, more = getattr(self, verb)(table, scope, depth)
        visible = scope + more
        plainly = visible
        if self.version >= 180000 and self.make.chance(0.4):
            sides = ["old", "new"] if verb != "insert" else ["new", "old"]
            plainly = visible + [
                Column(f"{side}.{column}", kind) for side in sides for column, kind in TABLES[table].items()
            ]
            # PostgreSQL 18.6 crashes on `delete ... returning new.x > all (select ...)`.
            visible = plainly if verb == "update" else visible
        kinds = [self.random.choice(KINDS) for _ in range(self.random.choice([1, 2, 4]))]
        items = [
            f"{self.make.leaf(kind, plainly) if self.make.chance(0.5) else self.make.expression(kind, visible, 1)} "
            f"as c{number}"
            for number, kind in enumerate(kinds)
        ]
        return f"{text} returning {', '.join(items)}", {f"c{number}": kind for number, kind in enumerate(kinds)}

    def value(self, table: str, column: str, scope: list[Column]) -> str:
        """Return what is written to a column."""
        kind = TABLES[table][column]
        if self.make.chance(0.15):
            return "default"
        if column.endswith("_id"):
            return str(self.random.randrange(1, 9))
        return self.make.leaf(kind, scope) if self.make.chance(0.6) else self.make.expression(kind, scope, 1)

    def insert(self, table: str, scope: list[Column], depth: int) -> tuple[str, list[Column]]:
        """Return an insert up to its returning."""
        written = TARGETS[table][: self.random.choice([2, 3, 9])] if self.make.chance(0.6) else TARGETS[table]
        rows = [
            ", ".join(self.value(table, column, []) for column in written) for _ in range(self.random.choice([1, 1, 2]))
        ]
        text = f"insert into {table} ({', '.join(written)}) values ({'), ('.join(rows)})"
        key = next(iter(TABLES[table]))
        if key in written and self.make.chance(0.5):
            column = self.random.choice(written[1:])
            excluded = [Column(f"excluded.{name}", kind) for name, kind in TABLES[table].items()]
            action = f"do update set {column} = {self.value(table, column, scope + excluded)}"
            text += f" on conflict ({key}) {self.make.pick('do nothing', action, action)}"
        return text, []

    def update(self, table: str, scope: list[Column], depth: int) -> tuple[str, list[Column]]:
        """Return an update up to its returning."""
        more: list[Column] = []
        source = ""
        if self.make.chance(0.5):
            source, more = self.source([], depth - 1)
        others = TARGETS[table][1:]
        columns = self.random.sample(others, min(len(others), self.random.choice([1, 2])))
        sets = ", ".join(f"{column} = {self.value(table, column, scope + more)}" for column in columns)
        where = f" where {self.condition(scope + more, 1)}" if self.make.chance(0.7) else ""
        return f"update {table} set {sets}{f' from {source}' if source else ''}{where}", more

    def merge(self, table: str, scope: list[Column], depth: int) -> tuple[str, list[Column]]:
        """Return a merge up to its returning."""
        source, more = self.relation([], depth - 1)
        numbers = [column.sql for column in more if column.kind == N] or ["1"]
        key = next(iter(TABLES[table]))
        text = f"merge into {table} using {source} on {table}.{key} = {self.random.choice(numbers)}"
        others = TARGETS[table][1:]
        changed = self.random.choice(others)
        if self.make.chance(0.7):
            change = f"update set {changed} = {self.value(table, changed, scope + more)}"
            text += f" when matched then {self.make.pick(change, change, 'delete', 'do nothing')}"
        if self.make.chance(0.3):
            change = f"update set {changed} = {self.value(table, changed, scope)}"
            text += f" when not matched by source then {self.make.pick(change, 'delete')}"
        values = ", ".join(self.value(table, column, more) for column in TARGETS[table])
        insert = f"insert ({', '.join(TARGETS[table])}) values ({values})"
        return f"{text} when not matched then {self.make.pick(insert, insert, 'do nothing')}", more

    def delete(self, table: str, scope: list[Column], depth: int) -> tuple[str, list[Column]]:
        """Return a delete up to its returning."""
        more: list[Column] = []
        source = ""
        if self.make.chance(0.5):
            source, more = self.source([], depth - 1)
        where = f" where {self.condition(scope + more, 1)}" if self.make.chance(0.7) else ""
        return f"delete from {table}{f' using {source}' if source else ''}{where}", more


def statements(random: Random, version: int, number: int, longest: int = 2500) -> list[Statement]:
    """Return some random statements, none longer than ``longest``."""
    queries = Queries(random, version)
    made: list[Statement] = []
    while len(made) < number:
        text = queries.statement()
        if len(text) <= longest:
            made.append(parse_statement(text, name=f"random_{len(made)}"))
    return made
