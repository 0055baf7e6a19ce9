"""What belongs to a sum on each side of an equals sign, and what is only the text around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from orchestrator.routing.checks.expression import starts_operand
from orchestrator.routing.checks.tokens import Token
from orchestrator.routing.checks.units import is_convertible, unit

_MAX_UNIT_WORDS = 6
_MAX_ASIDE = 12
_MAX_COMPOUND = 2
_MAX_WORDS_AFTER_OF = 4

# Read as operators where they stand between two numbers.
_OPERATOR_WORDS: Mapping[str, str] = {"x": "*", "X": "*", "times": "*", "plus": "+", "minus": "-"}
_OPERATOR_PHRASES: Mapping[str, str] = {"multiplied": "*", "divided": "/"}

# What follows one of these is not the number it looks like.
_CALCULATING_WORDS = frozenset(
    {
        *("half", "third", "thirds", "quarter", "quarters", "fourth", "fourths", "fifth", "fifths"),
        *("twice", "thrice", "double", "triple", "average", "mean", "root", "sqrt", "log"),
        *("times", "plus", "minus", "squared", "cubed", "negative", "max", "min", "percent"),
    }
)

_VERBS = frozenset({"is", "are", "was", "were", "has", "have", "had", "gives", "makes"})

_END = Token("break", "")


@dataclass(frozen=True, slots=True)
class Side:
    """One side of an equals sign.

    Attributes:
        tokens: The expression, units left out.
        units: Units named on this side.
    """

    tokens: Sequence[Token]
    units: frozenset[str]


def left_side(tokens: Sequence[Token]) -> Side | None:
    """The expression that ends where ``tokens`` end; ``None`` if its beginning is uncertain."""
    items = _Simplifier(tokens).items
    start = len(items)
    depth = 0
    while start:
        token = items[start - 1]
        if token.kind in {"break", "opaque"} or (token.kind == "open" and not depth):
            break
        depth += (token.kind == "close") - (token.kind == "open")
        start -= 1
    expression, before = items[start:], items[start - 1] if start else _END
    if expression and expression[0].text == "*" and not start:
        expression = expression[1:]  # it begins Markdown's italics
    is_torn = bool(expression) and expression[0].kind == "operator" and start > 0
    if depth or is_torn or before.kind == "opaque" or _adjacent_operand(expression) is not None:
        return None
    return Side(expression, _units(tokens))


def right_side(tokens: Sequence[Token]) -> Side | None:
    """The expression that ``tokens`` begin with; ``None`` if its end is uncertain."""
    items = _Simplifier(tokens).items
    end = depth = opened_at = 0
    for token in items:
        if token.kind in {"break", "opaque"} or (token.kind == "close" and not depth):
            break
        if token.kind == "open" and not depth:
            opened_at = end
        depth += (token.kind == "open") - (token.kind == "close")
        end += 1
    # A parenthesis that holds words explains the result and is no part of it.
    expression = items[:opened_at] if depth else items[:end]
    after = items[len(expression)] if len(expression) < len(items) else _END
    if expression and expression[-1].kind == "operator":
        # A dash before words, or the asterisk that ends Markdown's italics.
        is_punctuation = after is _END or (expression[-1].text == "-" and after.kind == "break")
        expression = expression[:-1] if is_punctuation else []
    if after.kind == "opaque":
        return None
    aside = _adjacent_operand(expression)
    if aside is not None:
        expression = expression[:aside] if expression[aside].kind == "open" else []
    return Side(expression, _units(tokens))


class _Simplifier:
    """Drops the units after numbers and turns all other words into breaks."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.items: list[Token] = []
        self._tokens = tokens
        self._words: list[Token] = []
        at = 0
        while at < len(tokens):
            at += self._read(at)
        self._settle(_END)

    def _read(self, at: int) -> int:
        """Take in what begins at ``at``; return how many tokens that was."""
        token = self._tokens[at]
        match token.kind:
            case "currency":
                return 1
            case "open" if length := self._aside_length(at):
                self._words.append(token)
                return length
            case "operator" if token.text == "/" and self._peek(at + 1).kind == "word":
                self._words.append(token)  # "miles/hour"
                return 1
            case "word":
                return self._read_word(at)
            case "number" if not token.is_spaced and at and self._tokens[at - 1].kind == "word":
                if self._words:  # "x2", "H2": a name
                    token = Token("opaque", token.text)
        self._settle(token)
        self.items.append(token)
        return 1

    def _read_word(self, at: int) -> int:
        word = self._tokens[at].text
        operator, length = None, 1
        if self._follows_operand():
            if word in _OPERATOR_WORDS and self._starts_operand(at + 1):
                operator = _OPERATOR_WORDS[word]
            elif (
                word in _OPERATOR_PHRASES
                and self._peek(at + 1).text == "by"
                and self._starts_operand(at + 2)
            ):
                operator, length = _OPERATOR_PHRASES[word], 2
            elif word == "percent" and not self._words:
                self.items.append(Token("percent", "%"))
                return 1
            elif word == "of" and not self._words and self._is_share():
                skipped = self._words_before_operand(at + 1)
                if skipped is not None:
                    operator, length = "*", 1 + skipped
        if operator is None:
            self._words.append(self._tokens[at])
            return 1
        token = Token("operator", operator)
        self._settle(token)
        self.items.append(token)
        return length

    def _settle(self, following: Token) -> None:
        """Decide what the words before ``following`` are: units, text, or not understood."""
        words, self._words = self._words, []
        if not words:
            return
        texts = [word.text.lower() for word in words]
        follows_operand, leads = self._follows_operand(), starts_operand(following)
        is_variable = any(_may_be_variable(word) for word in words)
        if follows_operand and is_variable:
            self.items.append(Token("opaque", texts[-1]))
        elif follows_operand and not leads and len(words) <= _MAX_UNIT_WORDS:
            return
        elif leads and (
            not _CALCULATING_WORDS.isdisjoint(texts)
            or (follows_operand and texts[-1] == "of")
            or (follows_operand and len(words) <= _MAX_COMPOUND and is_convertible(texts[0]))
            or (following.kind == "open" and not following.is_spaced)
        ):
            # "twice 3", "4 boxes of 6", "1 hour 30 minutes", "f(3)".
            self.items.append(Token("opaque", texts[-1]))
        else:
            self.items.append(Token("break", texts[-1]))

    def _follows_operand(self) -> bool:
        return bool(self.items) and self.items[-1].kind in {"number", "close", "percent"}

    def _is_share(self) -> bool:
        """Whether the last operand is what people take ``of`` something: 50%, 0.5, 1/2."""
        match self.items[-3:]:
            case [*_, Token(kind="percent" | "close")]:
                return True
            case [Token(kind="number"), Token(text="/"), Token(kind="number")]:
                return True
            case [*_, Token(kind="number", decimals=decimals)]:
                return decimals > 0
        return False

    def _words_before_operand(self, at: int) -> int | None:
        """How many words ("of the remaining 700") lead to an operand; ``None``: to none."""
        for length in range(_MAX_WORDS_AFTER_OF):
            if self._starts_operand(at + length):
                return length
            word = self._peek(at + length)
            if word.kind != "word" or word.text in _VERBS:
                return None
        return None

    def _aside_length(self, at: int) -> int:
        """Length of a parenthesis without any number, 0 if there is none at ``at``."""
        for length, token in enumerate(self._tokens[at : at + _MAX_ASIDE], start=1):
            if token.kind in {"number", "opaque", "fraction"}:
                return 0
            if token.kind == "close":
                return length
        return 0

    def _starts_operand(self, at: int) -> bool:
        if self._peek(at).kind == "currency":
            at += 1
        return starts_operand(self._peek(at))

    def _peek(self, at: int) -> Token:
        return self._tokens[at] if at < len(self._tokens) else _END


def _may_be_variable(word: Token) -> bool:
    """Whether a single letter after a number multiplies it ("3 n", "3a", but not "3 a day")."""
    return len(word.text) == 1 and word.text.isalpha() and not (word.is_spaced and word.text == "a")


def _adjacent_operand(expression: Sequence[Token]) -> int | None:
    """Index of an operand that follows another with nothing between them."""
    for index, (first, second) in enumerate(pairwise(expression), start=1):
        if first.kind in {"number", "close", "percent"} and starts_operand(second):
            if second.kind == "open" and not second.is_spaced:
                continue
            return index
    return None


def _units(tokens: Sequence[Token]) -> frozenset[str]:
    return frozenset(unit(token.text) for token in tokens if token.kind in {"word", "currency"})
