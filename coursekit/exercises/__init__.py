"""Exercises that know the mistake. Read in this order: exercise (the data), call (runs what the learner wrote),
compare (judges what came back), card (shows it), notebook (check, hint, solution), progress, compiled, mutate."""
