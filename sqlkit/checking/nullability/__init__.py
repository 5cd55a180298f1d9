"""Which columns of a statement can be NULL: a proof over PostgreSQL's own analysed tree.

One rule holds everywhere: nullable unless proved otherwise. A node, a field or a function that is not known proves
nothing. ``conditions`` says what a condition that is true rules out, ``scopes`` which relations an outer join may leave
without a row, ``expressions`` and ``prover`` the verdict of an expression and of a query's columns, ``total`` which of
PostgreSQL's functions never answer NULL by themselves.
"""
