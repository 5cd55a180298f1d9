"""Presentations: jobs that turn slides into narrated video."""
