"""Writes the Rust constants and the Verilog register block from spu.rdl.

    python generate.py --rust OUT.rs --verilog OUT.v

Plain Python with the packages of requirements.txt; `cargo xtask regs` calls it.
"""

import argparse
import os

import model
import rust
import verilog


def main() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--map", default=os.path.join(here, "spu.rdl"), help="SystemRDL source")
    parser.add_argument("--rust", metavar="FILE", help="Rust constants, not yet formatted")
    parser.add_argument("--verilog", metavar="FILE", help="Verilog register block")
    arguments = parser.parse_args()
    registers = model.load(arguments.map)
    for path, writer in ((arguments.rust, rust.write), (arguments.verilog, verilog.write)):
        if path:
            with open(path, "w", encoding="utf-8", newline="\n") as out:
                out.write(writer(registers))


if __name__ == "__main__":
    main()
