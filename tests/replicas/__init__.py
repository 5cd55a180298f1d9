"""Tests on a primary and its standbys."""
