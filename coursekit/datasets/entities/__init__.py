"""Named entities in running text, with BIO labels, from templates and names of our own and sentences by hand."""

from coursekit.datasets.entities.corpus import Sentence, entities, generate
from coursekit.datasets.entities.labels import IGNORED, LABELS, TYPES, Aligned, Span, align, align_batch, spans

__all__ = ["IGNORED", "LABELS", "TYPES", "Aligned", "Sentence", "Span", "align", "align_batch", "entities", "generate",
           "spans"]
