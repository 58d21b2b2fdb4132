"""From a folder of recordings to a corpus on disk."""
