"""Exercises of lecture 14: what a likelihood says, and how sure one may be of it."""

import math

import numpy as np

from coursekit.exercises.exercise import Exercise


def log_softmax(logits, axis=-1):
    shifted = logits - logits.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


# ---------------------------------------------------------------------------------------------------------------------
# The prior, by hand

task = Exercise(
    "14.prior_by_hand", "The prior, by hand",
    "For \"[MASK] was employed as a nurse.\" a model gives *he* the probability 0.3 and *she* 0.2. For \"[MASK] was "
    "employed as a [MASK].\" it gives, at the same place, *he* 0.6 and *she* 0.1. By how many **bits** (logarithms "
    "with base 2) is *nurse* associated more with *he* than with *she*, once each word's prior is taken off? Give "
    "`prior_by_hand` that number, below 0 if *she* is ahead.",
    difficulty=1, minutes=5, points=1, kind="number",
    hints=("How does the occupation change the probability of *he*, and how that of *she*?",
           "The association of one word is log2 of its probability divided by its prior. Take that of *he* minus that "
           "of *she*."),
    explanation="*Nurse* halves the probability of *he*, which is -1 bit, and doubles that of *she*, +1 bit: -2. "
                "Without the prior *he* would be ahead by 0.58 bits, only because this model says *he* more often.",
)


@task.reference
def prior_by_hand():
    return math.log2(0.3 / 0.6) - math.log2(0.2 / 0.1)


@task.misconception
def prior_left_out():
    """You compare 0.3 with 0.2 as they are. The model says *he* more often whatever the occupation is: divide each
    probability by its prior first."""
    return math.log2(0.3 / 0.2)


@task.misconception
def prior_multiplied():
    """You add the logarithm of the prior. It is taken off: how much more probable does the occupation make the
    word?"""
    return math.log2(0.3 * 0.6) - math.log2(0.2 * 0.1)


@task.misconception
def she_minus_he():
    """That is the association of *she* minus that of *he*. Asked for is *he* minus *she*."""
    return 2


@task.misconception
def in_nats():
    """That is in nats, with the natural logarithm. Bits have the base 2."""
    return -2 * math.log(2)


@task.misconception
def probabilities_subtracted():
    """You subtract the priors from the probabilities. A rise from 0.1 to 0.2 and one from 0.5 to 0.6 are not the same:
    take ratios, and their logarithms."""
    return (0.3 - 0.6) - (0.2 - 0.1)


@task.misconception
def one_word_alone():
    """That is the association of *he* alone. Subtract that of *she*."""
    return -1


# ---------------------------------------------------------------------------------------------------------------------
# The prior correction for many templates

task = Exercise(
    "14.association", "Probability with its prior taken off",
    "Write `association`: for each template the natural logarithm of the target's probability, minus that of its "
    "prior. `logits` are the model's at the target's place, `prior_logits` those at the same place when the attribute "
    "is masked as well.",
    difficulty=2, minutes=10, points=2,
    sizes=(dict(templates=1, vocab=5), dict(templates=2, vocab=6), dict(templates=5, vocab=4),
           dict(templates=4, vocab=7)),
    returns={"association": ("templates",)},
    hints=("Logits are no logarithms of probabilities yet: each row has its own sum. Which function makes them so?",
           "log softmax of both arrays along the vocabulary, then the target's column of each."),
    explanation="The two rows come from two sentences, so that their sums of exponentials differ: they do not cancel "
                "as they do between two words of one row.",
)


@task.reference
def association(logits, prior_logits, target):
    """The association (templates,) of logits (templates, vocab), prior_logits (templates, vocab) and a target, the id
    of a token."""
    log_p, log_prior = (x - np.log(np.exp(x).sum(axis=1, keepdims=True)) for x in (logits, prior_logits))
    return log_p[:, target] - log_prior[:, target]


@task.draw
def draw(rng, templates, vocab):
    return {"logits": rng.normal(size=(templates, vocab)) + 0.5, "prior_logits": rng.normal(size=(templates, vocab)),
            "target": int(rng.integers(1, vocab))}


@task.misconception
def logits_subtracted(logits, prior_logits, target):
    """You subtract logits. These are known up to a number that differs from row to row: make them logarithms of
    probabilities first."""
    return logits[:, target] - prior_logits[:, target]


@task.misconception
def no_prior(logits, prior_logits, target):
    """You give the logarithm of the probability alone. Take that of the prior off."""
    return log_softmax(logits)[:, target]


@task.misconception
def the_other_way_round(logits, prior_logits, target):
    """Your sign is the other way round: the prior is what is subtracted."""
    return log_softmax(prior_logits)[:, target] - log_softmax(logits)[:, target]


@task.misconception
def difference_of_probabilities(logits, prior_logits, target):
    """You subtract probabilities. Asked for is the difference of their logarithms, that is, the logarithm of a
    ratio."""
    return np.exp(log_softmax(logits)[:, target]) - np.exp(log_softmax(prior_logits)[:, target])


@task.misconception
def ratio_without_a_logarithm(logits, prior_logits, target):
    """You divide, which is right, but the logarithm of the ratio is missing."""
    return np.exp(log_softmax(logits)[:, target] - log_softmax(prior_logits)[:, target])


@task.misconception
def softmax_over_the_templates(logits, prior_logits, target):
    """Your softmax runs over the templates. Each template has a distribution of its own, over the vocabulary: the last
    axis."""
    return log_softmax(logits, 0)[:, target] - log_softmax(prior_logits, 0)[:, target]


@task.misconception
def in_bits(logits, prior_logits, target):
    """Your logarithm has the base 2. Asked for is the natural one."""
    return (log_softmax(logits)[:, target] - log_softmax(prior_logits)[:, target]) / math.log(2)


# ---------------------------------------------------------------------------------------------------------------------
# The pseudo-log-likelihood of a sentence

task = Exercise(
    "14.pseudo_log_likelihood", "The pseudo-log-likelihood",
    "Write `pseudo_log_likelihood`. A sentence of `length` tokens was given to the model `length` times, each time "
    "with another token masked: `logits[i]` are the logits at all places when place i is masked. Sum the natural "
    "logarithms of the probabilities of the tokens that stood there. [CLS] and [SEP], where `special` is True, are not "
    "asked for.",
    difficulty=3, minutes=12, points=3,
    sizes=(dict(length=3, vocab=5), dict(length=5, vocab=4), dict(length=4, vocab=6), dict(length=6, vocab=7)),
    returns={"pseudo_log_likelihood": ()},
    hints=("When place i is masked, at which place does the model say what could stand there?",
           "logits[i, i] are the logits that matter for token i. np.arange twice gives the diagonal.",
           "log softmax of each logits[i, i], the entry ids[i] of it, and the sum where special is False."),
    explanation="Only the diagonal counts: at all other places the model sees the token that it would have to guess. "
                "It is a sum of conditional logarithms, and not the logarithm of the sentence's probability.",
)


@task.reference
def pseudo_log_likelihood(logits, ids, special):
    """One number, of logits (length, length, vocab), ids (length,), whole numbers, and special (length,), boolean."""
    places = np.flatnonzero(~special)
    at_mask = logits[places, places]
    log_p = at_mask - np.log(np.exp(at_mask).sum(axis=1, keepdims=True))
    return log_p[range(len(places)), ids[places]].sum()


@task.draw
def draw(rng, length, vocab):
    special = np.zeros(length, dtype=bool)
    special[[0, -1]] = True
    return {"logits": rng.normal(size=(length, length, vocab)), "ids": rng.integers(0, vocab, length),
            "special": special}


def at_masks(logits, ids):
    """ln p of each token where it is masked, (length,)."""
    return log_softmax(np.stack([logits[i, i] for i in range(len(ids))]))[range(len(ids)), ids]


@task.misconception
def special_tokens_counted(logits, ids, special):
    """You sum over [CLS] and [SEP] as well. Every sentence has them: leave out the places where special is True."""
    return at_masks(logits, ids).sum()


@task.misconception
def one_sentence_for_all(logits, ids, special):
    """You read all tokens off one copy of the sentence, in which most of them can be seen. Token i counts in copy i,
    where it is masked."""
    first = np.flatnonzero(~special)[0]
    return log_softmax(logits[first])[range(len(ids)), ids][~special].sum()


@task.misconception
def all_places_of_all_copies(logits, ids, special):
    """You sum over all places of all copies. In copy i only place i is masked, and only place i counts."""
    log_p = log_softmax(logits)[:, range(len(ids)), ids]
    return log_p[~special][:, ~special].sum()


@task.misconception
def mean_in_place_of_the_sum(logits, ids, special):
    """You take the mean over the tokens. Asked for is the sum."""
    return at_masks(logits, ids)[~special].mean()


@task.misconception
def logits_summed(logits, ids, special):
    """You sum logits. They are not logarithms of probabilities until log softmax has been taken."""
    return sum(logits[i, i, ids[i]] for i in np.flatnonzero(~special))


@task.misconception
def probabilities_summed(logits, ids, special):
    """You add probabilities up. Their logarithms add."""
    return np.exp(at_masks(logits, ids))[~special].sum()


@task.misconception
def sign_turned(logits, ids, special):
    """Your sign is that of a loss. A log-likelihood is never above 0."""
    return -at_masks(logits, ids)[~special].sum()


# ---------------------------------------------------------------------------------------------------------------------
# The bootstrap of a paired difference

task = Exercise(
    "14.paired_interval", "A bootstrap interval of a paired difference",
    "Two groups were put into the same templates. Write `paired_interval`: the 2.5 % and the 97.5 % quantile of the "
    "mean difference, first minus second, over bootstrap draws of *templates*. Each row of `draws` holds the templates "
    "of one draw, by number, some of them more than once.",
    difficulty=3, minutes=12, points=3,
    sizes=(dict(n=40, templates=3), dict(n=30, templates=5), dict(n=60, templates=8), dict(n=50, templates=4)),
    returns={"interval": ("low, high",)},
    hints=("A draw takes a template with both of its numbers. What is left to average, once each template has its "
           "difference?",
           "differences[draws] has the shape (n, templates). Which axis is a draw?",
           "The mean of each row, then np.quantile of these means at 0.025 and 0.975."),
    explanation="What both groups share, a template that suits the word, cancels in the difference before anything is "
                "drawn. The quantiles are those of means: single differences spread wider.",
)


@task.reference
def paired_interval(first, second, draws):
    """low and high, (2,), of first (templates,), second (templates,), log-probabilities, and draws (n, templates),
    whole numbers."""
    means = (first - second)[draws].mean(axis=1)
    return np.quantile(means, [0.025, 0.975])


@task.draw
def draw(rng, n, templates):
    shared = rng.normal(size=templates)
    return {"first": shared + rng.normal(size=templates) * 0.4 + 0.5,
            "second": shared + rng.normal(size=templates) * 0.4, "draws": rng.integers(0, templates, (n, templates))}


@task.misconception
def not_paired(first, second, draws):
    """You draw the templates of the two groups independently of each other, and what they share no longer cancels.
    Take the difference of each template first, then draw."""
    means = first[draws].mean(1) - second[np.roll(draws, 1, axis=0)].mean(1)
    return np.quantile(means, [0.025, 0.975])


@task.misconception
def single_differences(first, second, draws):
    """Your quantiles are those of the templates' differences. Asked for are those of their mean, over the draws."""
    return np.quantile(first - second, [0.025, 0.975])


@task.misconception
def draws_not_averaged(first, second, draws):
    """You take the quantiles of everything that was drawn. Each draw first gives one number, its mean."""
    return np.quantile((first - second)[draws], [0.025, 0.975])


@task.misconception
def averaged_over_the_draws(first, second, draws):
    """You average over the draws. A row of `draws` is one draw: its mean is along the other axis."""
    return np.quantile((first - second)[draws].mean(0), [0.025, 0.975])


@task.misconception
def five_and_ninety_five(first, second, draws):
    """These are the 5 % and the 95 % quantile, an interval of 90 %. Half of 5 % lies at either end: 2.5 % and
    97.5 %."""
    return np.quantile((first - second)[draws].mean(1), [0.05, 0.95])


@task.misconception
def second_minus_first(first, second, draws):
    """Your interval is that of second minus first. Asked for is first minus second."""
    return np.quantile((second - first)[draws].mean(1), [0.025, 0.975])


@task.misconception
def medians(first, second, draws):
    """You take the median of each draw. Asked for is the mean."""
    return np.quantile(np.median((first - second)[draws], axis=1), [0.025, 0.975])


@task.misconception
def nothing_drawn(first, second, draws):
    """You use the normal approximation, 1.96 standard errors to either side. Use the draws: no shape need be assumed
    then."""
    differences = first - second
    error = 1.96 * differences.std(ddof=1) / math.sqrt(len(differences))
    return np.array([differences.mean() - error, differences.mean() + error])


# ---------------------------------------------------------------------------------------------------------------------
# What an interval shows

task = Exercise(
    "14.what_it_shows", "What the interval shows",
    "One model, twelve templates. The logarithm of p(nurse) is larger with Jane than with Jim, by 0.9 on average, and "
    "the bootstrap interval over the templates is 0.7 to 1.1. Which of these does it show? Set `what_it_shows` to its "
    "letter.",
    difficulty=2, minutes=4, points=1, kind="choice",
    options={
        "a": ("Where the text came from, more Janes than Jims work as nurses.",
              "The number is about what was written, and about this model of it. Who writes about whom, and how often, "
              "is not how many there are. (In our corpus it is even invented.)"),
        "b": ("Trained again from another seed, the model would most probably give a difference between 0.7 and 1.1.",
              "Templates were drawn anew, and the model stayed the same. How seeds differ is seen only in several "
              "trainings."),
        "c": ("This model finds *nurse* more probable after Jane than after Jim, in sentences like these twelve.",
              "Right. The model, the two names and the kind of sentence are all part of what was measured."),
        "d": ("The model thinks that women are nurses.",
              "Two names are not two genders: they may also differ in age, or be the names of someone famous. And a "
              "probability of a word is no opinion."),
    },
    hints=("Over what was drawn anew: people, trainings, names, or templates?",
           "An interval covers only what was varied. Everything that was held fixed belongs into the sentence."),
    explanation="The interval is over templates. Names, seed and corpus were one each, so they stay in the conclusion.",
)


@task.reference
def what_it_shows():
    return "c"


# ---------------------------------------------------------------------------------------------------------------------
# A permutation test with several comparisons

task = Exercise(
    "14.largest_by_chance", "A test for many words at once",
    "`differences[i, w]` says how much more probable word w is with the first name of pair i than with the second, in "
    "logarithms. If the two groups did not differ, the sign of each *pair* could as well be turned. Each row of "
    "`signs` turns some pairs (-1) and leaves the others (1). Write `largest_by_chance`, a p-value for each word: the "
    "share of the rows in which the largest mean in size, over all words, is at least as large as this word's own mean "
    "in size. The pairs as they are count as one more row: add 1 to the number of such rows, and 1 to that of all.",
    difficulty=4, minutes=15, points=4,
    sizes=(dict(pairs=4, words=3, rows=9), dict(pairs=5, words=4, rows=12), dict(pairs=6, words=2, rows=20),
           dict(pairs=7, words=5, rows=15)),
    returns={"p": ("words",)},
    hints=("The mean over the pairs gives one number for each word. Turning signs first gives what chance would give.",
           "signs @ differences / len(differences) has the shape (rows, words). The largest in size of each row is "
           "what any word could reach by chance.",
           "p of a word is (1 + the rows whose largest is at least |its mean|) / (1 + all rows)."),
    explanation="A word has to beat the best of all words in a world without a difference, so that the chance of one "
                "false alarm or more is kept, however many words are looked at. A pair is turned as a whole, since its "
                "words depend on one another.",
    equivalent={"by_chance[:, None] >= own -> by_chance[:, None] > own, in "
                "return (1 + (by_chance[:, None] >= own).sum(axis=0)) / (1 + len(signs))":
                "No mean that is drawn lies within 0.001 of a word's own in size, so that none is equal to it."},
)


@task.reference
def largest_by_chance(differences, signs):
    """p (words,) of differences (pairs, words) and signs (rows, pairs), each 1 or -1."""
    own = np.abs(differences.mean(axis=0))
    by_chance = np.abs(signs @ differences / len(differences)).max(axis=1)
    return (1 + (by_chance[:, None] >= own).sum(axis=0)) / (1 + len(signs))


@task.draw
def draw(rng, pairs, words, rows):
    while True:  # no two means are equal, and the mistakes tell
        differences = rng.normal(size=(pairs, words)) + rng.normal(size=words) * 0.6
        signs = rng.choice([-1, 1], (rows, pairs))
        inputs = {"differences": differences, "signs": signs}
        means = signs @ differences / pairs
        own = differences.mean(0)
        if np.abs(np.abs(means)[:, :, None] - np.abs(own)).min() < 1e-3:
            continue
        answers = [definition(**inputs) for definition in (largest_by_chance, *TOLD_APART)]
        if all(np.abs(a - b).max() > 0.01 for i, a in enumerate(answers) for b in answers[:i]):
            return inputs


def means_of(differences, signs):
    return np.abs(signs @ differences / len(differences))


@task.misconception
def each_word_alone(differences, signs):
    """You compare each word with itself alone. Among many words one or the other is large by chance: compare with the
    largest of all words in each row."""
    own = np.abs(differences.mean(0))
    return (1 + (means_of(differences, signs) >= own).sum(0)) / (1 + len(signs))


@task.misconception
def times_the_number_of_words(differences, signs):
    """You multiply each word's own p-value by the number of words (Bonferroni). That is safe, but asked for is the
    comparison with the largest, which uses how the words depend on one another."""
    return np.minimum(1, len(differences[0]) * each_word_alone(differences, signs))


@task.misconception
def one_side_only(differences, signs):
    """You do not take the size. A word may be more probable with either group: compare absolute means."""
    by_chance = (signs @ differences / len(differences)).max(1)
    return (1 + (by_chance[:, None] >= differences.mean(0)).sum(0)) / (1 + len(signs))


@task.misconception
def pairs_as_they_are_not_counted(differences, signs):
    """You leave out the pairs as they are. They are one of the rows, and without them a p-value of 0 would come out,
    which no finite number of rows can show."""
    own = np.abs(differences.mean(0))
    return (means_of(differences, signs).max(1)[:, None] >= own).mean(0)


@task.misconception
def smaller_counted(differences, signs):
    """You count the rows that are smaller. A p-value counts those that are at least as large."""
    own = np.abs(differences.mean(0))
    return (1 + (means_of(differences, signs).max(1)[:, None] < own).sum(0)) / (1 + len(signs))


@task.misconception
def sum_against_mean(differences, signs):
    """You compare a sum over the pairs with a mean over the pairs. Divide both by their number, or neither."""
    own = np.abs(differences.mean(0))
    return (1 + (np.abs(signs @ differences).max(1)[:, None] >= own).sum(0)) / (1 + len(signs))


TOLD_APART = (each_word_alone, times_the_number_of_words, one_side_only, pairs_as_they_are_not_counted,
              smaller_counted, sum_against_mean)
