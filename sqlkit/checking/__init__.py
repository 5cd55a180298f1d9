"""PostgreSQL proves the contracts: what of files, signatures, models and schema does not agree.

Data runs ``project`` (which modules, files, schemas) to ``workbench`` (a migrated database) to ``sqlkit.describing``
(what PostgreSQL says of each statement) to ``verify`` (contract against description) and ``lints`` to ``report``.
"""
