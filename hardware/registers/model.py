"""The compiled register map as plain values, for the writers of Rust and Verilog."""

import os
from dataclasses import dataclass, field

from systemrdl import RDLCompiler, RDLWalker, RDLListener
from systemrdl.node import MemNode, RegNode


@dataclass
class Field:
    name: str
    low: int
    width: int
    reset: int
    doc: str
    pulse: bool
    members: list[tuple[str, int, str]] = field(default_factory=list)


@dataclass
class Register:
    name: str
    address: int
    count: int
    array: bool
    access: str  # "ro", "rw", "wo"
    doc: str
    detail: str
    fields: list[Field]
    external: bool = False
    window: bool = False
    constant: bool = False  # no hardware drives it: the reset value is its value
    per: str | None = None
    words: int = 1
    latched_by: str | None = None
    mcu: bool = False  # answered by the microcontroller, not in the FPGA

    @property
    def reset(self) -> int:
        return sum(f.reset << f.low for f in self.fields)

    @property
    def end(self) -> int:
        return self.address + 4 * self.count


ACCESS = {(True, True): "rw", (True, False): "ro", (False, True): "wo"}


class _Collect(RDLListener):
    def __init__(self) -> None:
        self.registers: list[Register] = []

    def enter_Mem(self, node: MemNode) -> None:
        if node.get_property("memwidth") != 32:
            raise SystemExit(f"{node.inst_name}: memwidth must be 32")
        self.registers.append(
            Register(
                name=node.inst_name,
                address=node.absolute_address,
                count=node.get_property("mementries"),
                array=False,
                access=ACCESS[node.is_sw_readable, node.is_sw_writable],
                doc=node.get_property("name"),
                detail=node.get_property("desc") or "",
                fields=[],
                external=True,
                window=True,
            )
        )

    def enter_Reg(self, node: RegNode) -> None:
        if node.get_property("regwidth") != 32:
            raise SystemExit(f"{node.inst_name}: registers must be 32 bits wide")
        if node.is_array and (len(node.array_dimensions) != 1 or node.array_stride != 4):
            raise SystemExit(f"{node.inst_name}: arrays must have one dimension and stride 4")
        per, latched_by = node.get_property("per"), node.get_property("latched_by")
        fields = [
            Field(
                name=f.inst_name,
                low=f.low,
                width=f.width,
                reset=f.get_property("reset") or 0,
                doc=f.get_property("desc") or "",
                pulse=f.get_property("singlepulse"),
                members=[
                    (m.name, m.value, m.rdl_desc or "") for m in f.get_property("encode") or []
                ],
            )
            for f in node.fields()
        ]
        self.registers.append(
            Register(
                name=node.inst_name,
                address=node.raw_absolute_address,
                count=node.array_dimensions[0] if node.is_array else 1,
                array=node.is_array,
                access=ACCESS[node.has_sw_readable, node.has_sw_writable],
                doc=node.get_property("name"),
                detail=node.get_property("desc") or "",
                fields=fields,
                external=node.external,
                constant=not (node.has_hw_writable or node.has_sw_writable),
                per=per.name if per is not None else None,
                words=node.get_property("words") or 1,
                latched_by=latched_by.inst_name if latched_by is not None else None,
                mcu=bool(node.get_property("mcu")),
            )
        )


def load(path: str) -> list[Register]:
    """Compiles the map at `path`: its registers by ascending address."""
    compiler = RDLCompiler()
    compiler.compile_file(os.path.abspath(path))
    root = compiler.elaborate()
    collect = _Collect()
    # One visit for each array, not for each element.
    RDLWalker(unroll=False).walk(root, collect)
    registers = sorted(collect.registers, key=lambda r: r.address)
    for before, after in zip(registers, registers[1:]):
        if before.end > after.address:
            raise SystemExit(f"{before.name} and {after.name} overlap")
    if registers[-1].end > 0x10000:
        raise SystemExit(f"{registers[-1].name} does not fit 16 address bits")
    return registers
