"""A debugging switch that finds where NaN and infinity come from."""

import inspect
from contextlib import contextmanager

import torch

from coursekit.finite import expect_finite


@contextmanager
def report_nan(model):
    """Within it, every layer of a model, PyTorch's own included, refuses inputs that are NaN or infinite.

        with report_nan(model):
            model(x)
        ValueError: layers.1.attention (MultiHeadAttention): query is nan at batch 1, position 3, unit 0, ...

    The layer named is the first that was given such a number, so the one before it made it. Masks are not looked at:
    where they are added to scores, -inf is meant. What torch.compile has compiled runs uncompiled meanwhile. Off, it
    costs nothing. Raises `ValueError` that names the layer, the argument and the place.
    """
    names = {layer: f"{name} ({type(layer).__name__})" if name else type(layer).__name__
             for name, layer in model.named_modules()}

    def check(layer, args, kwargs):
        for argument, value in inspect.signature(layer.forward).bind(*args, **kwargs).arguments.items():
            for tensor in value if isinstance(value, list | tuple) else [value]:
                if isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and "mask" not in argument:
                    expect_finite(names[layer], argument, tensor.detach().cpu().double().numpy())

    hooks = [layer.register_forward_pre_hook(check, with_kwargs=True) for layer in names]
    try:
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for hook in hooks:
            hook.remove()
