"""What a backend says of the device it runs on, in a process of that backend."""

import re
from pathlib import Path

import keras

# Floating-point operations a second of dense products: of the makers' data sheets.
PEAKS = {
    "H100 PCIe": {"bfloat16": 756e12, "tfloat32": 378e12},
    "H100": {"bfloat16": 989e12, "tfloat32": 494e12},
    "H200": {"bfloat16": 989e12, "tfloat32": 494e12},
    "A100": {"bfloat16": 312e12, "tfloat32": 156e12},
    "L4": {"bfloat16": 121e12, "tfloat32": 60e12},
    "T4": {"float16": 65e12},
    "RTX 4090": {"bfloat16": 165e12, "tfloat32": 83e12},
}


def peak(name, precision):
    """Operations a second that a device of this name can do at most; None where nobody noted it."""
    words = [known for known in PEAKS if re.search(rf"\b{known}\b", name)]
    return PEAKS[max(words, key=len)].get(precision) if words else None


class Torch:
    """PyTorch on CUDA, or on the CPU."""

    def __init__(self):
        import torch

        self.torch = torch
        self.is_gpu = torch.cuda.is_available()

    def describe(self):
        if not self.is_gpu:
            return {"name": "CPU"}
        properties = self.torch.cuda.get_device_properties(0)
        return {
            "name": properties.name,
            "memory": properties.total_memory,
            "capability": f"{properties.major}.{properties.minor}",
            "CUDA": self.torch.version.cuda,
            "cuDNN": self.torch.backends.cudnn.version(),
        }

    def is_on_device(self, tensor):
        return tensor.device.type == ("cuda" if self.is_gpu else "cpu")

    def synchronize(self):
        if self.is_gpu:
            self.torch.cuda.synchronize()

    def bytes_in_use(self):
        return self.torch.cuda.memory_allocated() if self.is_gpu else resident_bytes()

    def peak_bytes(self):
        return self.torch.cuda.max_memory_allocated() if self.is_gpu else None

    def kernels(self, function, *arrays):
        """The names of the operations and kernels that a call of a function runs."""
        from torch.profiler import ProfilerActivity, profile

        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * self.is_gpu
        with profile(activities=activities) as profiler:
            function(*map(keras.ops.convert_to_tensor, arrays))
            self.synchronize()
        return {event.key for event in profiler.key_averages()}


class Jax:
    """JAX on CUDA, or on the CPU."""

    def __init__(self):
        import jax

        self.jax = jax
        self.device = jax.devices()[0]
        self.is_gpu = self.device.platform == "gpu"

    def describe(self):
        if not self.is_gpu:
            return {"name": "CPU"}
        memory = (self.device.memory_stats() or {}).get("bytes_limit")
        capability = getattr(self.device, "compute_capability", None)
        return {"name": self.device.device_kind, "memory": memory, "capability": capability}

    def is_on_device(self, tensor):
        return tensor.devices() == {self.device}

    def synchronize(self):
        self.jax.numpy.zeros(()).block_until_ready()

    def bytes_in_use(self):
        return self.device.memory_stats()["bytes_in_use"] if self.is_gpu else resident_bytes()

    def peak_bytes(self):
        return self.device.memory_stats()["peak_bytes_in_use"] if self.is_gpu else None

    def kernels(self, function, *arrays):
        """The kernels that XLA calls by name, beside those it writes itself."""
        program = self.jax.jit(function).lower(*arrays).compile().as_text()
        return set(re.findall(r'custom_call_target="([^"]+)"', program))


class TensorFlow:
    """TensorFlow on CUDA, or on the CPU."""

    def __init__(self):
        import tensorflow as tf

        self.tf = tf
        self.devices = tf.config.list_physical_devices("GPU")
        self.is_gpu = bool(self.devices)

    def describe(self):
        if not self.is_gpu:
            return {"name": "CPU"}
        details = self.tf.config.experimental.get_device_details(self.devices[0])
        capability = ".".join(map(str, details.get("compute_capability", ())))
        return {"name": details.get("device_name", "GPU"), "capability": capability}

    def is_on_device(self, tensor):
        return ("GPU" if self.is_gpu else "CPU") in tensor.device

    def synchronize(self):
        self.tf.zeros(()).numpy()

    def bytes_in_use(self):
        return self._memory("current") if self.is_gpu else resident_bytes()

    def peak_bytes(self):
        return self._memory("peak") if self.is_gpu else None

    def _memory(self, kind):
        return self.tf.config.experimental.get_memory_info("GPU:0")[kind]

    def kernels(self, function, *arrays):
        """The kinds of operations in the graph of a function."""
        graph = self.tf.function(function).get_concrete_function(*map(self.tf.constant, arrays))
        return {operation.type for operation in graph.graph.get_operations()}


def current():
    """The device of the backend of this process."""
    kinds = {"torch": Torch, "jax": Jax, "tensorflow": TensorFlow}
    return kinds[keras.backend.backend()]()


def resident_bytes():
    """The memory of this process, of which a CPU's tensors are a part."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
