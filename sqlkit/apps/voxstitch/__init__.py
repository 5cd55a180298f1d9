"""Voxstitch: chat imports. Users, the chats that they import, and who is logged in."""
