"""SQL in files, contracts in Python, proof from PostgreSQL."""
