"""Which columns of a statement can be NULL: a proof over PostgreSQL's own analysed tree.

One rule holds everywhere: nullable unless proved otherwise. A node, a field or a function that is not known proves
nothing. Downwards: ``prover`` judges a query's columns, ``written`` what RETURNING gives back of a row,
``expressions`` and ``aggregates`` one expression, ``grouping`` and ``tables`` what groups and a table's constraints
say. ``scopes`` knows which relations an outer join may leave without a row, ``conditions`` what a condition rules out
that is true, ``total`` which of PostgreSQL's functions never answer NULL by themselves.
"""
