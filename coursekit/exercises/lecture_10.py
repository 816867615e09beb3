"""Exercises of lecture 10: the pretraining of BERT."""

import numpy as np

from coursekit import reference
from coursekit.exercises.exercise import Exercise

# ---------------------------------------------------------------------------------------------------------------------
# The sum of three embeddings

task = Exercise(
    "10.input_vectors", "What the first layer reads",
    "Write `input_vectors`: the vectors of a pair of texts, before norm and dropout. Each is the sum of the "
    "embeddings of its token, of its position and of its segment. `ids` is the whole input, [CLS] and [SEP] included; "
    "the first `n_first` tokens belong to the first segment (row 0 of `segments`) and the rest to the second (row 1).",
    difficulty=1, minutes=8, points=1,
    sizes=(dict(length=3, vocab=5, longest=6, d_model=4), dict(length=5, vocab=7, longest=8, d_model=3),
           dict(length=6, vocab=8, longest=9, d_model=2), dict(length=7, vocab=11, longest=10, d_model=5)),
    returns={"vectors": ("length", "d_model")},
    hints=(
        "Three rows are added for each token. Which row of each table is it?",
        "Positions count from 0 to the end of the whole input; they do not start again in the second text.",
        "tokens[ids] + positions[:len(ids)] + segments[...]: which index is 0 for the first n_first, then 1?",
    ),
    explanation="Everything is added and nothing appended, as in lecture 04. Positions run on: what tells the second "
                "text from the first is its segment, and the [SEP] between them.",
)


@task.reference
def input_vectors(ids, n_first, tokens, positions, segments):
    """The vectors (length, d_model) of ids (length,), with the tables tokens (vocab, d_model), positions (longest,
    d_model) and segments (2, d_model)."""
    places = np.arange(len(ids))
    return tokens[ids] + positions[places] + segments[(places >= n_first).astype(int)]


@task.draw
def draw(rng, length, vocab, longest, d_model):
    return {"ids": rng.integers(0, vocab, length), "n_first": int(rng.integers(1, length)),
            "tokens": rng.normal(size=(vocab, d_model)), "positions": rng.normal(size=(longest, d_model)),
            "segments": rng.normal(size=(2, d_model))}


@task.misconception
def positions_start_again(ids, n_first, tokens, positions, segments):
    """Your positions start again at 0 in the second text. They run on to the end of the whole input."""
    places = np.arange(len(ids))
    second = places >= n_first
    return tokens[ids] + positions[places - n_first * second] + segments[second.astype(int)]


@task.misconception
def no_segments(ids, n_first, tokens, positions, segments):
    """Your sum has no segment embedding: the model could not tell the two texts apart but by the [SEP] between them."""
    return tokens[ids] + positions[:len(ids)]


@task.misconception
def no_positions(ids, n_first, tokens, positions, segments):
    """Your sum has no position embedding: the order of the tokens is lost (lecture 04)."""
    return tokens[ids] + segments[(np.arange(len(ids)) >= n_first).astype(int)]


@task.misconception
def first_segment_everywhere(ids, n_first, tokens, positions, segments):
    """You give every token the first segment. From place n_first on it is the second, row 1."""
    return tokens[ids] + positions[:len(ids)] + segments[0]


@task.misconception
def segments_swapped(ids, n_first, tokens, positions, segments):
    """Your segments are swapped: the first text has row 0."""
    return tokens[ids] + positions[:len(ids)] + segments[(np.arange(len(ids)) < n_first).astype(int)]


@task.misconception
def one_place_too_late(ids, n_first, tokens, positions, segments):
    """Your second segment begins one place too late. The first n_first tokens have the places 0 to n_first - 1."""
    return tokens[ids] + positions[:len(ids)] + segments[(np.arange(len(ids)) > n_first).astype(int)]


@task.misconception
def positions_counted_from_1(ids, n_first, tokens, positions, segments):
    """Your positions count from 1. The first token, [CLS], has position 0."""
    places = np.arange(len(ids))
    return tokens[ids] + positions[places + 1] + segments[(places >= n_first).astype(int)]


@task.misconception
def positions_by_token(ids, n_first, tokens, positions, segments):
    """You look positions up by the token's id. A position is a place in the input, whatever token stands there."""
    return (tokens[ids] + positions[ids % len(positions)]
            + segments[(np.arange(len(ids)) >= n_first).astype(int)])


@task.misconception
def averaged(ids, n_first, tokens, positions, segments):
    """You take the mean of the three embeddings. Asked for is their sum."""
    return input_vectors(ids, n_first, tokens, positions, segments) / 3


# ---------------------------------------------------------------------------------------------------------------------
# How much of a text is changed

task = Exercise(
    "10.changed_tokens", "How many tokens are changed?",
    "A batch has 2,000 tokens that are not special. 15 % are chosen, and of these 80 % become [MASK], 10 % a random "
    "token and 10 % stay as they are. How many tokens does the model read differently from what was written, on "
    "average? Take it that a random token is never the right one. Give `changed_tokens` that number.",
    difficulty=1, minutes=3, points=1, kind="number",
    hints=("First: how many are chosen? Then: which of those look different?",
           "300 are chosen. [MASK] and a random token look different, what stays does not."),
    explanation="300 tokens are chosen and asked about, and 270 of them look different: 240 are [MASK], 30 something "
                "else. The other 30 are asked about as well, though they stand there, right, to be read.",
)


@task.reference
def changed_tokens():
    return 2000 * 0.15 * (0.8 + 0.1)


@task.misconception
def all_that_are_chosen():
    """That is how many are chosen. One in ten of them stays as it is."""
    return 2000 * 0.15


@task.misconception
def masks_alone():
    """That is how many become [MASK]. A random token is a change as well."""
    return 2000 * 0.15 * 0.8


@task.misconception
def of_all_tokens():
    """You took 80 % and 10 % of all tokens. They are shares of the chosen ones, and those are 15 % of all."""
    return 2000 * (0.8 + 0.1)


@task.misconception
def only_random_ones():
    """That is how many become a random token. [MASK] is a change as well."""
    return 2000 * 0.15 * 0.1


@task.misconception
def what_stays():
    """That is how many are read as they were written. Asked for are those that are not."""
    return 2000 - 2000 * 0.15 * (0.8 + 0.1)


# ---------------------------------------------------------------------------------------------------------------------
# 80, 10, 10

SHOWN = "shown = np.where(fate < 0.8, mask_id, np.where(fate < 0.9, others, ids))"

task = Exercise(
    "10.masked", "Mask by the rule",
    "Write `masked`, BERT's masking with the random numbers given, so that everyone gets the same. A token is chosen "
    "if its `chance` is below `share`, unless it is special. The `fate` of a chosen token decides what the model "
    "reads: below 0.8 `mask_id`, from 0.8 to below 0.9 the token in `others`, from 0.9 the token itself. Targets are "
    "the chosen tokens, and -100 elsewhere.",
    difficulty=3, minutes=12, points=3,
    sizes=(dict(batch=2, length=12, vocab=20), dict(batch=3, length=14, vocab=30), dict(batch=4, length=11, vocab=25)),
    returns={"inputs": ("batch", "length"), "targets": ("batch", "length")},
    withhold=("coursekit.torch.pretraining.mask_tokens", "transformers.DataCollatorForLanguageModeling",
              "transformers.data.data_collator.DataCollatorForLanguageModeling"),
    hints=(
        "Two questions for each token: is it asked about? And if so, what is shown?",
        "chosen = (chance < share) & ~special. Everything else happens to chosen tokens only.",
        "Targets do not depend on fate: a token that stays as it is is asked about as well.",
    ),
    explanation="Choosing and showing are two draws. The 80, 10 and 10 % are shares of the chosen tokens. All of these "
                "have a target, even those that the model can read: it cannot know which they are.",
    equivalent={f"{a} < {b} -> {a} <= {b}, in {line}": "No number that is drawn equals the border." for a, b, line in (
        ("chance", "share", "chosen = (chance < share) & ~special"),
        ("fate", "0.8", SHOWN), ("fate", "0.9", SHOWN))},
)


@task.reference
def masked(ids, special, chance, fate, others, share, mask_id):
    """inputs and targets (batch, length) of ids (batch, length), special (batch, length), boolean, the random numbers
    chance and fate from 0 to 1 and the random tokens others, each (batch, length), the share and the id of [MASK]."""
    chosen = (chance < share) & ~special
    shown = np.where(fate < 0.8, mask_id, np.where(fate < 0.9, others, ids))
    return np.where(chosen, shown, ids), np.where(chosen, ids, -100)


@task.draw
def draw(rng, batch, length, vocab):
    special = np.zeros((batch, length), bool)
    special[:, 0] = special[:, -1] = True
    ids = np.where(special, 2, rng.integers(5, vocab, (batch, length)))
    chance, fate = rng.random((batch, length)), rng.random((batch, length))
    # Every row has each of the three fates among its chosen tokens, and a special token that chance would choose.
    chance[:, [0, 1, 2, 3]], chance[:, 4] = 0.1 * rng.random((batch, 4)), 0.95
    fate[:, 1], fate[:, 2], fate[:, 3], fate[:, 4] = 0.5, 0.85, 0.95, 0.05
    return {"ids": ids, "special": special, "chance": chance, "fate": fate,
            "others": rng.integers(5, vocab - 1, (batch, length)) + 1, "share": 0.3, "mask_id": 4}


def by_rule(ids, chosen, fate, others, mask_id):
    shown = np.where(fate < 0.8, mask_id, np.where(fate < 0.9, others, ids))
    return np.where(chosen, shown, ids), np.where(chosen, ids, -100)


@task.misconception
def special_tokens_masked(ids, special, chance, fate, others, share, mask_id):
    """You mask special tokens as well. [CLS], [SEP] and padding are never chosen."""
    return by_rule(ids, chance < share, fate, others, mask_id)


@task.misconception
def targets_only_at_masks(ids, special, chance, fate, others, share, mask_id):
    """You ask only where [MASK] is shown. Random tokens and those that stay are asked about, too: that is what they are
    there for."""
    chosen = (chance < share) & ~special
    inputs, targets = by_rule(ids, chosen, fate, others, mask_id)
    return inputs, np.where(inputs == mask_id, targets, -100)


@task.misconception
def targets_only_where_changed(ids, special, chance, fate, others, share, mask_id):
    """You do not ask where the token stays as it is. It is chosen, so it has a target: then the model cannot trust what
    it reads, anywhere."""
    chosen = (chance < share) & ~special
    inputs, targets = by_rule(ids, chosen, fate, others, mask_id)
    return inputs, np.where(fate < 0.9, targets, -100)


@task.misconception
def targets_everywhere(ids, special, chance, fate, others, share, mask_id):
    """You ask about every token. Only the chosen ones have a target, the others -100."""
    return by_rule(ids, (chance < share) & ~special, fate, others, mask_id)[0], ids


@task.misconception
def targets_as_shown(ids, special, chance, fate, others, share, mask_id):
    """Your targets are what is shown. Asked for is what was there before."""
    chosen = (chance < share) & ~special
    inputs, _ = by_rule(ids, chosen, fate, others, mask_id)
    return inputs, np.where(chosen, inputs, -100)


@task.misconception
def always_mask(ids, special, chance, fate, others, share, mask_id):
    """You show [MASK] at every chosen token. That is so for 80 % of them only."""
    chosen = (chance < share) & ~special
    return np.where(chosen, mask_id, ids), np.where(chosen, ids, -100)


@task.misconception
def random_and_kept_swapped(ids, special, chance, fate, others, share, mask_id):
    """You swapped two fates: from 0.8 to below 0.9 a random token is shown, and from 0.9 on the token itself."""
    chosen = (chance < share) & ~special
    shown = np.where(fate < 0.8, mask_id, np.where(fate < 0.9, ids, others))
    return np.where(chosen, shown, ids), np.where(chosen, ids, -100)


@task.misconception
def fates_of_all_tokens(ids, special, chance, fate, others, share, mask_id):
    """You change tokens that are not chosen: their fate does not matter. Where nothing is asked, the input stays."""
    chosen = (chance < share) & ~special
    return by_rule(ids, ~special, fate, others, mask_id)[0], np.where(chosen, ids, -100)


# ---------------------------------------------------------------------------------------------------------------------
# Next sentence prediction

task = Exercise(
    "10.sentence_pairs", "Does it follow?",
    "Write `sentence_pairs`. Sentences are numbered through, and `document_of` says which document each belongs to, "
    "in order. Every sentence with a successor in its own document gives one pair. Where its `coin` is below 0.5 the "
    "second sentence is that successor, label 0. Elsewhere it is a sentence of another document, label 1: of all "
    "sentences of other documents, in order, the one with number int(draw · how many there are). `coin` and `draw` "
    "have one number for every sentence.",
    difficulty=3, minutes=15, points=3,
    sizes=(dict(documents=3, longest=4), dict(documents=4, longest=3), dict(documents=5, longest=3)),
    returns={"first": ("pairs",), "second": ("pairs",), "labels": ("pairs",)},
    withhold=("coursekit.torch.pretraining.next_sentence_pairs",),
    hints=(
        "Which sentences have a successor in their own document? Compare document_of with itself, shifted by one.",
        "For sentence i: np.flatnonzero(document_of != document_of[i]) lists the sentences of other documents.",
        "The coin and the draw of a pair are those of its first sentence.",
    ),
    explanation="The last sentence of a document gives no pair. A random sentence comes from another document: the "
                "sentence's own could give the true successor, and call it wrong. The labels are those of BERT's "
                "code: 0 says that it follows.",
)


@task.reference
def sentence_pairs(document_of, coin, draw):
    """first, second and labels, each (pairs,), of document_of, coin and draw, each (sentences,)."""
    first = np.flatnonzero(document_of[:-1] == document_of[1:])
    second, labels = first + 1, (coin[first] >= 0.5).astype(int)
    for pair in np.flatnonzero(labels):
        others = np.flatnonzero(document_of != document_of[first[pair]])
        second[pair] = others[int(draw[first[pair]] * len(others))]
    return first, second, labels


@task.draw
def draw(rng, documents, longest):
    lengths = rng.integers(2, longest + 1, documents)
    lengths[rng.integers(documents)] = longest
    document_of = np.repeat(np.arange(documents), lengths)
    while True:  # both labels; random sentences from before, where later ones could come, and from after
        coin, draw = rng.random((2, len(document_of)))
        coin[0] = 0.5  # just where the label changes
        first, second, labels = sentence_pairs(document_of, coin, draw)
        steps = document_of[second] - document_of[first]
        before = (steps < 0) & (document_of[first] < documents - 1)
        if 0 in labels and before.any() and (steps > 0).any():
            return {"document_of": document_of, "coin": coin, "draw": draw}


def pairs_with(document_of, coin, draw, others_of, follows=lambda coin: coin < 0.5):
    """The pairs, with a rule for the sentences among which a random one is drawn."""
    first = np.flatnonzero(document_of[:-1] == document_of[1:])
    labels = (~follows(coin[first])).astype(int)
    second = []
    for i, label in zip(first, labels):
        others = others_of(i)
        second.append(others[int(draw[i] * len(others))] if label else i + 1)
    return first, np.array(second), labels


@task.misconception
def own_document_as_well(document_of, coin, draw):
    """You draw from all sentences, the document's own among them: the true successor may come out, with the label
    1."""
    return pairs_with(document_of, coin, draw, lambda i: np.arange(len(document_of)))


@task.misconception
def only_later_documents(document_of, coin, draw):
    """You draw from some of the other documents only. Every sentence of every other document can come, before and
    after."""
    def others_of(i):
        later = np.flatnonzero(document_of > document_of[i])
        return later if len(later) else np.flatnonzero(document_of != document_of[i])
    return pairs_with(document_of, coin, draw, others_of)


@task.misconception
def labels_swapped(document_of, coin, draw):
    """Your labels are swapped. In BERT's code 0 says that the second sentence follows, and 1 that it is random."""
    first, second, labels = sentence_pairs(document_of, coin, draw)
    return first, second, 1 - labels


@task.misconception
def coin_the_other_way(document_of, coin, draw):
    """You read the coin the other way round: below 0.5 the true successor is kept."""
    others_of = lambda i: np.flatnonzero(document_of != document_of[i])  # noqa: E731
    return pairs_with(document_of, coin, draw, others_of, lambda coin: coin >= 0.5)


@task.misconception
def across_the_border(document_of, coin, draw):
    """You also pair the last sentence of a document with the first of the next one, as if it followed. It gives no
    pair."""
    first = np.arange(len(document_of) - 1)
    labels, second = (coin[first] >= 0.5).astype(int), first + 1
    for i in np.flatnonzero(labels):
        others = np.flatnonzero(document_of != document_of[i])
        second[i] = others[int(draw[i] * len(others))]
    return first, second, labels


@task.misconception
def coins_in_order_of_the_pairs(document_of, coin, draw):
    """You take coins and draws in the order of the pairs. The numbers of a pair are those of its first sentence."""
    first = np.flatnonzero(document_of[:-1] == document_of[1:])
    coin, draw = coin.copy(), draw.copy()
    coin[first], draw[first] = coin[:len(first)].copy(), draw[:len(first)].copy()
    return sentence_pairs(document_of, coin, draw)


# ---------------------------------------------------------------------------------------------------------------------
# The best that can be done

task = Exercise(
    "10.optimum", "The best that anyone can do",
    "Write `optimum`. A document has a hidden fact, such as its year, with the probability `prior`. Then a word is "
    "drawn by that fact's row of `word_given_fact`. The word is shown and the fact is masked. What share of the facts "
    "does the best possible guesser get right?",
    difficulty=3, minutes=12, points=3,
    sizes=(dict(facts=2, words=3), dict(facts=3, words=5), dict(facts=4, words=3), dict(facts=3, words=3)),
    returns={"accuracy": ()},
    hints=(
        "Fix one word. Which fact do you guess when you see it? With which probability were both drawn?",
        "prior · word_given_fact is the joint probability of fact and word. For each word the best guess takes the "
        "largest entry.",
        "Sum the largest joint probabilities over the words. Nothing has to be divided.",
    ),
    explanation="For each word the best guess is the fact with the largest joint probability, and it is right with "
                "just that probability. The sum over words weighs every posterior by how often its word comes.",
)


@task.reference
def optimum(prior, word_given_fact):
    """The accuracy, one number, of the best guess of the fact, for prior (facts,) and word_given_fact (facts, words),
    whose rows sum to 1."""
    return (prior[:, None] * word_given_fact).max(axis=0).sum()


@task.draw
def draw(rng, facts, words):
    while True:  # the prior decides some guesses, and the word others
        prior, rows = rng.dirichlet(np.full(facts, 3.0)), rng.dirichlet(np.full(words, 1.0), facts)
        guesses = (prior[:, None] * rows).argmax(0)
        if len(set(guesses)) > 1 and (guesses != rows.argmax(0)).any():
            return {"prior": prior, "word_given_fact": rows}


@task.misconception
def prior_alone(prior, word_given_fact):
    """That is the accuracy of always guessing the commonest fact. The word that is shown tells more."""
    return prior.max()


@task.misconception
def prior_forgotten(prior, word_given_fact):
    """You guess the fact under which the word is the most probable, and forget how common each fact is. Multiply by the
    prior before you take the largest."""
    guesses = word_given_fact.argmax(0)
    return (prior[:, None] * word_given_fact)[guesses, np.arange(word_given_fact.shape[1])].sum()


@task.misconception
def the_word_is_guessed(prior, word_given_fact):
    """You guess the word from the fact. It is the other way round: the word is shown, and the fact is masked."""
    return (prior * word_given_fact.max(axis=1)).sum()


@task.misconception
def every_word_alike(prior, word_given_fact):
    """You average the best posteriors as if every word came equally often. A frequent word counts more: sum the joint
    probabilities."""
    joint = prior[:, None] * word_given_fact
    return (joint / joint.sum(0)).max(0).mean()


@task.misconception
def draws_from_the_posterior(prior, word_given_fact):
    """Your guesser draws its guess from the posterior. It does better when it always takes the most probable fact."""
    joint = prior[:, None] * word_given_fact
    return (joint ** 2 / joint.sum(0)).sum()


@task.misconception
def one_fact_for_all_words(prior, word_given_fact):
    """You take one largest entry of the whole table. Each word has a best guess of its own: the largest of its
    column."""
    return (prior[:, None] * word_given_fact).max()


# ---------------------------------------------------------------------------------------------------------------------
# The gradient of a matrix that is used twice

task = Exercise(
    "10.tied_gradient", "One matrix, two gradients",
    "The smallest model with a tied output matrix: token i is read as its row of `embedding`, and the logits are that "
    "row times all rows, embedding[ids] @ embedding.T. Write `tied_gradient`: the gradient of the mean cross-entropy "
    "(in nats) of the targets, with respect to `embedding`. By hand, without automatic differentiation.",
    difficulty=4, minutes=20, points=4,
    sizes=(dict(tokens=3, vocab=5, d_model=2), dict(tokens=6, vocab=4, d_model=3), dict(tokens=5, vocab=7, d_model=4),
           dict(tokens=4, vocab=4, d_model=4)),
    returns={"gradient": ("vocab", "d_model")},
    withhold=("torch.autograd.grad", "torch.func.grad", "torch.Tensor.backward", "torch.autograd.backward"),
    hints=(
        "With two matrices, one to read and one to write, there would be two gradients. For one matrix they are added.",
        "The gradient of the logits is (softmax - one-hot of the target), divided by the number of tokens. For softmax "
        "you may take `reference.softmax`.",
        "As output matrix: g.T @ embedding[ids]. As embedding: g @ embedding, each row added to the row of its id; "
        "np.add.at adds also where an id comes twice.",
    ),
    explanation="The matrix has a gradient from each use, and the sum is its gradient. As output matrix every row gets "
                "some, for softmax has pushed every token a little; as embedding only rows that were read do.",
)


@task.reference
def tied_gradient(embedding, ids, targets):
    """The gradient (vocab, d_model) for embedding (vocab, d_model), ids (tokens,) and targets (tokens,)."""
    read = embedding[ids]
    g = reference.softmax(read @ embedding.T)
    g[np.arange(len(ids)), targets] -= 1
    g = g / len(ids)
    gradient = g.T @ read
    np.add.at(gradient, ids, g @ embedding)
    return gradient


@task.draw
def draw(rng, tokens, vocab, d_model):
    ids = rng.permutation(np.r_[[0, 0], rng.integers(0, vocab, tokens - 2)])  # an id that comes twice
    return {"embedding": rng.normal(size=(vocab, d_model)) * 0.8, "ids": ids, "targets": rng.integers(0, vocab, tokens)}


def logit_gradient(embedding, ids, targets):
    p = reference.softmax(embedding[ids] @ embedding.T)
    return (p - np.eye(len(embedding))[targets]) / len(ids)


@task.misconception
def as_output_alone(embedding, ids, targets):
    """Your gradient is that of the output matrix. The same matrix was read at the input, and what flows back there is
    added."""
    return logit_gradient(embedding, ids, targets).T @ embedding[ids]


@task.misconception
def as_input_alone(embedding, ids, targets):
    """Your gradient is that of the embedding. The same matrix gave the logits, and that gradient is added."""
    gradient = np.zeros_like(embedding)
    np.add.at(gradient, ids, logit_gradient(embedding, ids, targets) @ embedding)
    return gradient


@task.misconception
def repeated_ids_overwritten(embedding, ids, targets):
    """Where an id comes twice, only one of its gradients arrives: gradient[ids] += ... writes each row once. Use
    np.add.at, or a one-hot matrix."""
    g = logit_gradient(embedding, ids, targets)
    gradient = g.T @ embedding[ids]
    gradient[ids] += g @ embedding
    return gradient


@task.misconception
def mean_of_both_uses(embedding, ids, targets):
    """You average the gradients of the two uses. They are added: a change of the matrix acts in both places."""
    return tied_gradient(embedding, ids, targets) / 2


@task.misconception
def sum_of_the_losses(embedding, ids, targets):
    """Your gradient is that of the sum of the losses. Asked for is that of their mean."""
    return tied_gradient(embedding, ids, targets) * len(ids)


@task.misconception
def wrong_sign(embedding, ids, targets):
    """Your gradient points the other way: it is softmax minus one-hot."""
    return -tied_gradient(embedding, ids, targets)


@task.misconception
def targets_for_ids(embedding, ids, targets):
    """You add what flows back to the input to the rows of the targets. It belongs to the tokens that were read."""
    g = logit_gradient(embedding, ids, targets)
    gradient = g.T @ embedding[ids]
    np.add.at(gradient, targets, g @ embedding)
    return gradient
