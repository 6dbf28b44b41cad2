"""No library: the bytes of a folder's weights, which whoever loads them must hold."""


def load(folder):
    return (folder / "model.safetensors").read_bytes()
