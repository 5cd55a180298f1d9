"""Diagrams of schemas: what they show, and that the same schema gives the same text."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from sqlkit.errors import ConfigurationError
from sqlkit.operations.diagram import diagram, diagram_in

SCHEMA = """
create type mood as enum ('calm', 'wild');
create table users (
    user_id bigint generated always as identity,
    email text not null,
    name varchar(255) not null,
    referrer_id bigint,
    constraint users_pkey primary key (user_id),
    constraint users_name_key unique (name),
    constraint users_referrer_id_fkey foreign key (referrer_id) references users (user_id)
);
create unique index users_email_idx on users (lower(email));
create table profiles (
    user_id bigint not null,
    mood mood not null,
    tags text[] not null,
    weight numeric(12, 6),
    seen timestamp with time zone,
    constraint profiles_pkey primary key (user_id),
    constraint profiles_user_id_fkey foreign key (user_id) references users (user_id)
);
create table members (
    group_id int not null,
    user_id bigint not null,
    role text,
    constraint members_pkey primary key (group_id, user_id),
    constraint members_user_id_fkey foreign key (user_id) references users (user_id),
    constraint members_group_id_role_key unique (group_id, role)
);
comment on column members.role is 'one of "leader"
or member';
create table logs (
    log_id bigint generated always as identity,
    user_id bigint references users (user_id),
    at double precision,
    created_at timestamptz not null,
    constraint logs_pkey primary key (log_id, created_at)
) partition by range (created_at);
create table logs_2026_11 partition of logs for values from ('2026-11-01+00') to ('2026-12-01+00');
create table logs_2026_12 partition of logs for values from ('2026-12-01+00') to ('2027-01-01+00');
create table _yoyo_migration (id int);
create table yoyo_lock (id int);
create table _sqlkit_checksums (id int);
create view everybody as select * from users;
"""

DRAWN = """\
erDiagram
    users |o--o{ logs : "user_id"
    users ||--o{ members : "user_id"
    users ||--o| profiles : "user_id"
    users |o--o{ users : "referrer_id"
    logs {
        bigint log_id PK
        bigint user_id FK "null"
        double at "null"
        timestamptz created_at PK
    }
    members {
        integer group_id PK
        bigint user_id PK, FK
        text role "null; one of 'leader' or member"
    }
    profiles {
        bigint user_id PK, FK
        mood mood
        text[] tags
        numeric(12_6) weight "null"
        timestamptz seen "null"
    }
    users {
        bigint user_id PK
        text email UK
        varchar(255) name UK
        bigint referrer_id FK "null"
    }
"""


@pytest.fixture
def db(conn: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Give a connection whose search path begins with a schema of these tables."""
    conn.execute("create schema drawn; set local search_path = drawn")
    conn.execute(SCHEMA.encode())
    return conn


def test_what_is_drawn(db: psycopg.Connection[Any]) -> None:
    """Tables with types and keys, relations with cardinality; partitions are their table's, views are none."""
    assert diagram(db) == DRAWN


def test_a_schema_is_named(db: psycopg.Connection[Any]) -> None:
    """A schema that is named gives the same text, whatever the search path is."""
    db.execute("set local search_path = soleil")
    assert diagram(db, "drawn") == DRAWN
    assert "songs {" in diagram(db)


def test_a_schema_that_is_not_there(db: psycopg.Connection[Any]) -> None:
    """A schema that is not there is an error, not an empty diagram."""
    with pytest.raises(ConfigurationError, match="schema 'nowhere' is not there"):
        diagram(db, "nowhere")
    db.execute("set local search_path = nowhere")
    with pytest.raises(ConfigurationError, match="no schema of the search path is there"):
        diagram(db)


def test_names_that_mermaid_cannot_read(db: psycopg.Connection[Any]) -> None:
    """A name that is no word is quoted or written as one, so that the diagram can be drawn."""
    db.execute('create schema odd; set local search_path = odd; create table "Lieder & ""Songs""" ("der Titel" text)')
    assert diagram(db) == 'erDiagram\n    "Lieder & \'Songs\'" {\n        text der_Titel "null"\n    }\n'


def test_a_key_of_several_columns(db: psycopg.Connection[Any]) -> None:
    """A foreign key of two columns is one relation; it is single where a part of it is unique."""
    db.execute(
        """
        create schema pairs; set local search_path = pairs;
        create table a (x int, y int, constraint a_pkey primary key (y, x));
        create table many (x int not null, y int not null, foreign key (y, x) references a (y, x));
        create table single (x int not null unique, y int, foreign key (y, x) references a (y, x));
        create table partly (x int not null, y int not null, foreign key (y, x) references a (y, x));
        create unique index partly_idx on partly (x) where x > 0;
        """
    )
    relations = [line.strip() for line in diagram(db).splitlines() if "--" in line]
    assert relations == ['a ||--o{ many : "y, x"', 'a ||--o{ partly : "y, x"', 'a |o--o| single : "y, x"']


def test_an_empty_schema(db: psycopg.Connection[Any]) -> None:
    """A schema without tables is a diagram without entities."""
    db.execute("create schema empty")
    assert diagram(db, "empty") == "erDiagram\n"


def test_the_block_of_a_page() -> None:
    """The first mermaid block of a page is what a test compares; a page without one has none."""
    page = f"# Page\n\n```sql\nselect 1;\n```\n\n```mermaid\n{DRAWN}```\n\n```mermaid\nother\n```\n"
    assert diagram_in(page) == DRAWN
    assert diagram_in("# Page\n") == ""
