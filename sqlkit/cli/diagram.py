"""``sqlkit diagram``: a schema as a Mermaid diagram."""
