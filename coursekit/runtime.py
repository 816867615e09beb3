"""start(): where the course runs, seeds, threads, quiet logs and a short report, before any framework is loaded."""

import os
import random
import sys
import warnings
from contextlib import contextmanager, nullcontext

from coursekit.shapes import expect_at_least

from coursekit import device

_settings = {"seed": None, "threads": None}


def start(seed=0, threads=None):
    """Make the session reproducible and quiet, and print where it runs, on which device and with which versions.

    Nothing is imported here. NumPy, torch, TensorFlow and Keras are seeded at once where they are loaded, otherwise at
    the end of their import; TensorFlow's then prints no start-up lines. TensorFlow takes GPU memory as it needs it, so
    that PyTorch can use the same GPU. Threads that wait for work sleep (OMP_WAIT_POLICY=PASSIVE), unless that is set.

    seed: integer from 0 to 2**32 - 1. threads: the most that torch, TensorFlow and OpenMP use; None leaves it as it is.
    Raises ValueError for another seed or number of threads.
    """
    if threads is not None:
        expect_at_least("threads", threads, 1)
    _check_seed(seed)
    if "torch" in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        warnings.warn("torch is loaded already, too late for OMP_WAIT_POLICY=PASSIVE: on a busy machine its waiting "
                      "threads slow each other down. Restart and call coursekit.start() before importing torch.",
                      stacklevel=2)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        _settings["threads"] = int(threads)
    seed_everything(seed)
    _report()


def seed_everything(seed):
    """Seed Python, and NumPy, torch, TensorFlow and Keras: those loaded now at once, the others when they are loaded.

    Keras draws the seed of an unseeded initialiser, dropout or `keras.random.SeedGenerator` from Python's `random`, on
    every backend. (`keras.utils.set_random_seed` would load TensorFlow on every backend.)

    seed: integer from 0 to 2**32 - 1; ValueError otherwise.
    """
    _check_seed(seed)
    _settings["seed"] = seed = int(seed)
    random.seed(seed)
    if _watcher not in sys.meta_path:
        # C++ code reads this once, at import: it silences information and warnings at first use, errors still show.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        sys.meta_path.insert(0, _watcher)
    for name in _PREPARE:
        if name in sys.modules:
            _PREPARE[name](sys.modules[name])


def _check_seed(seed):
    expect_at_least("seed", seed, 0)
    if seed >= 2**32:
        raise ValueError(f"seed is {seed}, expected a whole number below 2**32")


def _prepare_numpy(numpy):
    numpy.random.seed(_settings["seed"])


def _prepare_torch(torch):
    torch.manual_seed(_settings["seed"])
    if _settings["threads"]:
        torch.set_num_threads(_settings["threads"])


def _prepare_tensorflow(tensorflow):
    tensorflow.random.set_seed(_settings["seed"])
    try:
        if _settings["threads"]:
            tensorflow.config.threading.set_intra_op_parallelism_threads(_settings["threads"])
            tensorflow.config.threading.set_inter_op_parallelism_threads(_settings["threads"])
        device.share_gpu(tensorflow)
    except RuntimeError as error:
        warnings.warn(f"TensorFlow has run already, restart and call coursekit.start() before using it: {error}",
                      stacklevel=4)


def _prepare_keras(_):
    # Without this the generator behind unseeded keras.random functions would continue from an earlier seed. Keras has
    # no public way to it that leaves TensorFlow alone, and a later Keras that moves it must still import.
    if state := sys.modules.get("keras.src.backend.common.global_state"):
        state.set_global_attribute("global_seed_generator", None)


def _prepare_transformers(_):
    from transformers.utils import logging

    logging.disable_progress_bar()  # reading weights takes a moment, and a stored notebook would keep the bar


_PREPARE = {
    "numpy": _prepare_numpy, "torch": _prepare_torch, "tensorflow": _prepare_tensorflow, "keras": _prepare_keras,
    "transformers": _prepare_transformers,
}


class _Watcher:
    """An import hook that prepares each framework at the end of its import."""

    def find_spec(self, name, path=None, target=None):
        if name not in _PREPARE:
            return None
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_prepare(module):
                state = random.getstate()
                with _quiet_stderr() if name == "tensorflow" else nullcontext():
                    load(module)
                    _PREPARE[name](module)
                # Importing Keras draws from Python's generator; the order of imports must not change later numbers.
                random.setstate(state)

            spec.loader.exec_module = load_and_prepare
        return spec


_watcher = _Watcher()


@contextmanager
def _quiet_stderr():
    """Keep what C++ code writes to file descriptor 2 out of sight, and write it after all if the body raises."""
    import tempfile

    if sys.stderr is None:  # Python was started without file descriptor 2
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as hidden:
        stderr = os.dup(2)
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(stderr, 2)
            hidden.seek(0)
            os.write(2, hidden.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)


def where():
    """The place this runs in: "colab", "kaggle", "jupyterlab" (any other Jupyter kernel), "ci" or "python"."""
    if "COLAB_RELEASE_TAG" in os.environ or "google.colab" in sys.modules:
        return "colab"
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        return "kaggle"
    # A kernel is not told which program shows its notebook; and it comes before CI, so that a notebook rebuilt there
    # keeps its bytes.
    if hasattr(_shell(), "kernel"):
        return "jupyterlab"
    return "ci" if os.environ.get("CI", "").lower() not in ("", "0", "false") else "python"


def _shell():
    """The running IPython shell, or None; IPython is not imported for it."""
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


_PLACES = {
    "colab": "Google Colab", "kaggle": "Kaggle", "jupyterlab": "JupyterLab", "ci": "continuous integration",
    "python": "plain Python",
}


def _report():
    """Print three lines that are the same in every run on one machine, so that a rebuilt notebook keeps its bytes."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    python = f"Python {platform.python_version()}, {platform.system()}"
    print(f"Where:    {_PLACES[where()]}, {python}; seed {_settings['seed']}")
    loaded = "torch" in sys.modules or "tensorflow" in sys.modules
    print(f"Device:   {device.best().why if loaded else device.machine()}")
    versions = []
    for package in ("coursekit", "numpy", "torch", "tensorflow", "keras"):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"no {package}")
    print(f"Versions: {', '.join(versions)}")


def show_source(obj):
    """Show the source of a class, function, method or module, highlighted in a notebook and printed elsewhere.

    Raises ValueError where there is no Python source.
    """
    import inspect
    import textwrap

    try:
        source = textwrap.dedent(inspect.getsource(obj)).rstrip()
    except (TypeError, OSError):
        raise ValueError(f"obj is {obj!r}, expected a class, function, method or module from a Python file") from None
    if _shell() is None:
        print(source)
        return
    from IPython.display import display

    fence = "```"
    while fence in source:
        fence += "`"
    # Markdown takes its colours from the page: light and dark themes, Colab and the static export all highlight it.
    display({"text/markdown": f"{fence}python\n{source}\n{fence}", "text/plain": source}, raw=True)
