"""Values on their way between Python and PostgreSQL: types, parameters, copies, JSON documents."""
