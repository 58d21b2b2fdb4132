"""Speech that is heard while it is being made: a batch that texts join and leave, and a voice for many threads."""
