"""Paragraphs with questions whose answers are spans of them, some unanswerable: made from facts, and by hand."""

from coursekit.datasets.questions.corpus import Question, check, generate, questions

__all__ = ["Question", "check", "generate", "questions"]
