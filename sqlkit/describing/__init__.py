"""What PostgreSQL says of a statement: parameters, columns, NULLs, how many rows. Nothing here knows Python's side.

Data runs ``describe`` (each variant prepared on a real server, its analysed tree read back) to ``trees`` (that tree
as nodes) and ``schema`` (the catalogue's facts), to ``reading``, where ``nullability`` and ``cardinality`` prove what
can be proved, and comes out as a ``Description``.
"""
