"""English as people write it, turned into English as they say it."""
