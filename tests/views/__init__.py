"""What the server says of itself: the views, the commands that show them, the page."""
