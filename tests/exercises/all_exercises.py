"""The exercises of the package, and the seeds on which they are tried."""

from coursekit.exercises import library

ALL = [exercise for lecture in library.lectures() for exercise in library.exercises(lecture)]
SEEDS = range(20)
