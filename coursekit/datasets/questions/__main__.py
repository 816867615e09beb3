"""Write the corpus anew: python -m coursekit.datasets.questions"""

from coursekit.datasets.questions.corpus import write

write()
