"""Rows become objects: what an annotation asks for, and the compiled makers that give it."""
