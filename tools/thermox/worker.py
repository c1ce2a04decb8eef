#!/usr/bin/env python3
"""Inverts one matrix by thermox, as often as it is asked; started by `hil-tests --bin accuracy -- thermox`.

The first line of standard input is {"matrix": rows, "samples": number, "few": bool}. Every variant (associative scan or
not, single or double precision, the whole call compiled as one program or not; if few, only those of single
precision compiled as one) is then run twice: once to compile it, once for its time; the answer names them. For each line {"seed": number} that follows,
the fastest one runs once; the answer has its wall time in seconds, without the start of a process and
without compilation, and the inverse.

Samples are independent: the time step is one after which the slowest mode keeps less than a hundredth.

    python3 -m venv venv && venv/bin/pip install thermox==0.0.6
"""

import importlib.metadata
import json
import sys
import time

import jax
import numpy
import thermox.linalg


def variants(matrix, samples, few):
    """The variants: how each is told, and what runs it."""
    step = float(numpy.log(100) / numpy.linalg.eigvalsh(matrix)[0])
    both = (False,) if few else (False, True)
    for double in both:
        for scan in (True, False):
            for whole in (not other for other in both):

                def call(array, key, scan=scan):
                    return thermox.linalg.inv(array, samples, dt=step, key=key, associative_scan=scan)

                names = {"double": double, "associative_scan": scan, "one_program": whole}
                yield names, jax.jit(call) if whole else call


def timed(matrix, names, run, seed):
    """Wall time of one call, and what it gives."""
    jax.config.update("jax_enable_x64", names["double"])
    array = jax.numpy.array(matrix)
    key = jax.random.PRNGKey(seed)
    start = time.perf_counter()
    found = numpy.asarray(run(array, key))
    return time.perf_counter() - start, found


def answer(value):
    print(json.dumps(value), flush=True)


def main():
    job = json.loads(sys.stdin.readline())
    matrix = numpy.array(job["matrix"])
    all_variants = []
    for names, run in variants(matrix, job["samples"], job["few"]):
        timed(matrix, names, run, 0)
        seconds, _ = timed(matrix, names, run, 0)
        all_variants.append((seconds, names, run))
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("thermox", "jax")]
    answer(
        {
            "versions": ", ".join(versions),
            "variants": [names | {"seconds": seconds} for seconds, names, _ in all_variants],
        }
    )
    _, names, run = min(all_variants, key=lambda variant: variant[0])
    for line in sys.stdin:
        seconds, found = timed(matrix, names, run, json.loads(line)["seed"])
        answer({"seconds": seconds, "inverse": found.tolist()})


if __name__ == "__main__":
    main()
