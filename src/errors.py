"""The one exception for bad input: whatever a user can mend."""


class InputError(ValueError):
    """Input that cannot be used. The message is one line: which file and line, what is wrong, what to do."""
