"""PostgreSQL proves the contracts: what statements take and return, and what of their Protocols does not hold.

Data runs ``project`` (which modules, files, schemas) to ``workbench`` (a migrated database) to ``describing`` (each
variant prepared there, its analysed tree read back) to ``nullability`` and ``cardinality`` (what the tree proves) to
``verify`` (contract against description) to ``report``. The modules up to ``cardinality`` know nothing of Python's
side, ``types`` and ``verify`` nothing of trees.
"""
