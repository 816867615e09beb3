"""Makes length_100_seed_<n>.safetensors, the models of the capstone's worked solution that test_predictors.py reuses.

    python tests/exercises/train_length_100.py       about 25 s of one core for each seed
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

from coursekit.exercises import library


def path(seed):
    return Path(__file__).parent / f"length_100_seed_{seed}.safetensors"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for seed in (0, 1):
        torch.manual_seed(seed)
        namespace = {}
        exec(library.find("02.length_100").solution, namespace)
        # Half precision: half the size, and the predictions are the same to four digits.
        save_file({name: tensor.half() for name, tensor in namespace["model"].state_dict().items()}, path(seed))
        print(path(seed).name, namespace["history"].stopped)
