"""Sentences of a Mandarin text."""

import re

# Whole braces are matched too, so that what they hold is never cut. White space must follow a full stop of ASCII.
_END = re.compile(r"\{[^{}]*\}|(?:[。！？；!?;]|…+|\.(?=\s|$))+(?:#4)?[\"'”’」』）)》】\]]*(?:#4)?|\n")


def find_sentences(text: str) -> list[str]:
    """Cut a text behind 。！？；…, their forms in ASCII with the quotes and brackets that close there, and at line ends.

    A part without letters goes with the sentence before it. Braces stay whole.
    """
    sentences, start = [], 0
    for match in _END.finditer(text):
        if not match[0].startswith("{"):
            sentences.append(text[start : match.end()])
            start = match.end()
    sentences.append(text[start:])
    joined: list[str] = []
    for sentence in sentences:
        if joined and not any(character.isalnum() for character in sentence):
            joined[-1] += sentence
        else:
            joined.append(sentence)
    if len(joined) > 1 and not any(character.isalnum() for character in joined[0]):
        joined[:2] = [joined[0] + joined[1]]
    return [sentence.strip() for sentence in joined if sentence.strip()]
