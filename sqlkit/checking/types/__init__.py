"""Which Python types go to PostgreSQL as which types, and which of its columns load into which annotations.

Nothing here is a table of opinions. What is sent goes through the very functions that send it at run time
(``sending``); what is loaded goes through pydantic's own schema of the field, with the author's constraints and
validators taken off (``relaxing``), by samples of all that a column's type can hold (``samples``, ``loading``).
"""
