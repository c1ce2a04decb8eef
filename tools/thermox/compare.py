#!/usr/bin/env python3
"""Inverts one matrix by thermox and by a simulated board, side by side.

    python3 -m venv venv && venv/bin/pip install thermox==0.0.6
    cargo build --release --bin spu
    venv/bin/python tools/thermox/compare.py --spu target/release/spu --device sim:profile=rev-b

Both get the same number of independent samples: thermox by a time step after which the slowest mode keeps
less than a hundredth, the board by its effective number of samples. Of thermox every variant is timed
(associative scan or not, single or double precision), each after a run that compiles it, and the fastest
one counts. Times are wall times of one call, without the start of a process.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy


def matrix(n, seed):
    """Diagonally dominant, off-diagonals <= 0, condition of some units."""
    rng = numpy.random.default_rng(seed)
    a = numpy.zeros((n, n))
    for i in range(n):
        for j in range(i + 1, n):
            a[i, j] = a[j, i] = -0.5 * rng.random()
    return a + numpy.diag(1 + rng.random(n) - a.sum(axis=1))


def error(found, a):
    truth = numpy.linalg.inv(a)
    return float(numpy.linalg.norm(found - truth) / numpy.linalg.norm(truth))


def by_thermox(a, samples, rounds):
    import jax
    import thermox.linalg

    step = numpy.log(100) / numpy.linalg.eigvalsh(a)[0]
    results = []
    for double in (False, True):
        jax.config.update("jax_enable_x64", double)
        array = jax.numpy.array(a)
        for scan in (True, False):
            for whole in (True, False):

                def call(key, array=array, scan=scan):
                    return thermox.linalg.inv(
                        array, samples, dt=float(step), key=key, associative_scan=scan
                    )

                run = jax.jit(call) if whole else call
                numpy.asarray(run(jax.random.PRNGKey(0)))
                times, errors = [], []
                for k in range(rounds):
                    start = time.perf_counter()
                    found = numpy.asarray(run(jax.random.PRNGKey(k + 1)))
                    times.append(time.perf_counter() - start)
                    errors.append(error(found, a))
                results.append(
                    {
                        "double": double,
                        "associative_scan": scan,
                        "one_program": whole,
                        "seconds": min(times),
                        "error": float(numpy.median(errors)),
                    }
                )
    return results


def by_board(a, samples, rounds, spu, device, extra):
    times, errors = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npy"
        numpy.save(path, a)
        for k in range(rounds):
            command = [spu, "invert", path, "--device", device, "--effective", str(samples)]
            command += ["--seed", str(k + 1), "--json", *extra]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            answer = json.loads(answer)
            times.append(answer["wall_s"])
            errors.append(error(numpy.array(answer["copies"][0]["inverse"]), a))
    return {"seconds": min(times), "error": float(numpy.median(errors))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spu", default="target/release/spu")
    parser.add_argument("--device", default="sim:profile=rev-b")
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("extra", nargs="*", help="further arguments of spu invert, after --")
    given = parser.parse_args()
    a = matrix(given.n, given.seed)
    board = by_board(a, given.samples, given.rounds, given.spu, given.device, given.extra)
    variants = by_thermox(a, given.samples, given.rounds)
    fastest = min(variants, key=lambda variant: variant["seconds"])
    print(
        json.dumps(
            {
                "n": given.n,
                "independent_samples": given.samples,
                "condition": float(numpy.linalg.cond(a)),
                "board": board | {"device": given.device},
                "thermox": variants,
                "fastest": fastest,
                "speedup": fastest["seconds"] / board["seconds"],
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
