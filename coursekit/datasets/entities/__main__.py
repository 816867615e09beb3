"""Write the corpus anew: python -m coursekit.datasets.entities"""

from coursekit.datasets.entities.corpus import write

write()
