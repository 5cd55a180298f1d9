"""The five applications whose data layers run on sqlkit, one module each."""
