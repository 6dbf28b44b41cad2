"""PyTorch's own random numbers, which Keras' dropout draws from there."""

import numpy as np
import torch


def random_state():
    """`{device: state}`, a uint8 array for each device that has one."""
    state = {"cpu": torch.get_rng_state().numpy()}
    if torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state().numpy()
    return state


def set_random_state(state):
    """Go on from the state of those devices that are in use here."""
    if "cpu" in state:
        torch.set_rng_state(torch.from_numpy(np.array(state["cpu"])))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(torch.from_numpy(np.array(state["cuda"])))
