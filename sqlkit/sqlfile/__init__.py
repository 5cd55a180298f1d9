"""What a ``.sql`` file is made of: the parts that ``sqlkit.statements`` reads, each a step of its own."""
