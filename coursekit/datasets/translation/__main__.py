"""Write the corpus anew: python -m coursekit.datasets.translation"""

from coursekit.datasets.translation.corpus import write

write()
