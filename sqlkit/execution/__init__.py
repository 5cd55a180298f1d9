"""Statements on connections: single calls, streams, batches and copies, for both colours."""
