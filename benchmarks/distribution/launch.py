"""Processes on this machine that find each other as those of several hosts would."""

import json
import os
import socket
import subprocess
import sys


def start(backend, module, arguments, processes=1, devices=1, **options):
    """`[Popen of each rank]` of `python -m module arguments`, on the CPU.

    Args:
        backend: str, the Keras backend.
        processes: int, ranks; 1 starts a process that knows nothing of others.
        devices: int, virtual devices of each rank; more than one are JAX's alone.
        **options: those of `subprocess.Popen`.
    """
    ports = free_ports(processes)
    found = []
    for rank in range(processes):
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
        if backend == "jax":
            flag = f"--xla_force_host_platform_device_count={devices}"
            environment["XLA_FLAGS"] = f"{environment.get('XLA_FLAGS', '')} {flag}".strip()
        if processes > 1:
            environment |= MEETING[backend](rank, ports)
        command = [sys.executable, "-m", module, *map(str, arguments)]
        found.append(subprocess.Popen(command, env=environment, **options))
    return found


def of_torch(rank, ports):
    """What torchrun tells each of its processes."""
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": len(ports)}
    names |= {"MASTER_ADDR": "localhost", "MASTER_PORT": ports[0]}
    return {name: str(value) for name, value in names.items()}


def of_jax(rank, ports):
    return {
        "JAX_COORDINATOR_ADDRESS": f"localhost:{ports[0]}",
        "JAX_NUM_PROCESSES": str(len(ports)),
        "JAX_PROCESS_ID": str(rank),
    }


def of_tensorflow(rank, ports):
    workers = [f"localhost:{port}" for port in ports]
    config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": rank}}
    return {"TF_CONFIG": json.dumps(config)}


MEETING = {"torch": of_torch, "jax": of_jax, "tensorflow": of_tensorflow}


def free_ports(count):
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
