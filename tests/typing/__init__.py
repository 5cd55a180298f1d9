"""Samples of users' code, for the type checkers (see ``tests/test_typing.py``)."""
