"""From a ``.sql`` file and a schema to the Python that a careful person would write for them.

Data runs ``aiosql`` (a file in aiosql's form becomes one of sqlkit's) to ``describing`` of ``sqlkit.checking`` to
``targets`` and ``catalogue`` (which columns parameters are written to, and what the database demands of them) to
``parameters`` and ``rows`` (classes and signatures) to ``module`` (all of it together) to ``writing`` (text).
"""
