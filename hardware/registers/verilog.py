"""Writes the register map as a synchronous register block in plain Verilog."""

from model import Field, Register

HEAD = """\
// Register block of the FPGA: spu_regs.
//
// Written by `cargo xtask regs` from hardware/registers/spu.rdl; do not edit.
//
// Word bus: `addr` is a byte address, a multiple of 4; a write happens in the clock with `we`, read
// data is on `rdata` in the clock after `re` and stays until the next `re`. Outside the map, and
// for array elements that a board of CELLS cells does not have, reads give 0 and writes do nothing.
//
// Ports of registers held here: <register>_<field>, or <register> where the field is the whole
// word; an array is one packed vector, element 0 in its lowest word. Writable fields are outputs;
// a field that is a command is an output, high for one clock. The others are inputs, read as they
// are in the clock of `re`. What a read captures, shows from `taken`: high in a clock after `re` in
// which the word of that `re` is known to have been read (a bus that fetches ahead says so later), or
// always, where every word fetched is read.
//
// Arrays that belong in memory are not held here but decoded: <array>_re and <array>_we are high in
// the clock of the access, <array>_index is the element, `wdata` the value to write. The value read
// must be on <array>_rdata in the clock after <array>_re and stay until the next one, as the output
// of a synchronous memory does.
//
// `reset` is synchronous. A soft reset command acts on what drives `reset`, outside this block.
"""


def _port(r: Register, f: Field) -> str:
    return r.name.lower() if f.width == 32 else f"{r.name.lower()}_{f.name}"


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""


def _element(port: str, r: Register, index: int) -> str:
    return f"{port}[{32 * index} +: 32]" if r.array else port


def _index_bits(r: Register) -> int:
    return (r.count - 1).bit_length()


def _aligned(r: Register) -> bool:
    """True where the index is a slice of the address."""
    return r.address % (4 << _index_bits(r)) == 0


def _ports(inner: list[Register], outer: list[Register]) -> list[str]:
    out = []
    for r in inner:
        if r.constant:
            continue
        direction, kind = ("input", "wire") if r.access == "ro" else ("output", "reg")
        for f in r.fields:
            out.append(f"{direction:6} {kind:4} {_range(f.width * r.count)}{_port(r, f)}")
    for r in outer:
        name = r.name.lower()
        out.append(f"output wire {_range(_index_bits(r))}{name}_index")
        if r.access != "ro":
            out.append(f"output wire {name}_we")
        out.append(f"output wire {name}_re")
        out.append(f"input  wire [31:0] {name}_rdata")
    return out


def _length(r: Register) -> str:
    """Number of elements on a board of CELLS cells."""
    if r.per is None:
        return str(r.count)
    n = {"cell": "CELLS", "coupling": "(CELLS * (CELLS - 1) / 2)", "product": "(CELLS * (CELLS + 1) / 2)"}
    length = n[r.per] if r.words == 1 else f"{r.words} * {n[r.per]}"
    return f"({length} < {r.count}) ? {length} : {r.count}"


def _decode(r: Register, bit: int) -> list[str]:
    name, bits = r.name.lower(), _index_bits(r)
    out = [f"    // {r.doc}."]
    if _aligned(r):
        top = bits + 2
        in_range = f"addr[15:{top}] == {16 - top}'h{r.address >> top:X}"
        out += [f"    assign {name}_index = addr[{top - 1}:2];"]
    else:
        in_range = f"addr >= 16'h{r.address:04X} && addr < 16'h{r.end:04X}"
        out += [f"    assign {name}_index = addr[{bits + 1}:2] - {bits}'h{(r.address >> 2) % (1 << bits):X};"]
    exact = r.per is None and r.count == 1 << bits and _aligned(r)
    if not exact:
        out += [f"    localparam [31:0] {r.name}_LEN = {_length(r)};"]
        in_range = f"{in_range} && {{{32 - bits}'d0, {name}_index}} < {r.name}_LEN"
    out += [f"    assign region[{bit}] = aligned && {in_range};"]
    out += [f"    assign {name}_re = re && region[{bit}];"]
    if r.access != "ro":
        out += [f"    assign {name}_we = we && region[{bit}];"]
    return out + [""]


def _value(r: Register, index: int) -> str:
    """The word that a read of element `index` gives."""
    if r.constant:
        return f"32'h{r.reset:08X}"
    if r.latched_by:
        return f"{r.name.lower()}_latched"
    parts, above = [], 32
    for f in sorted(r.fields, key=lambda f: -f.low):
        if above > f.low + f.width:
            parts.append(f"{above - f.low - f.width}'d0")
        parts.append(_element(_port(r, f), r, index))
        above = f.low
    if above:
        parts.append(f"{above}'d0")
    return parts[0] if len(parts) == 1 else "{" + ", ".join(parts) + "}"


def _slice(f: Field) -> str:
    if f.width == 32:
        return "wdata"
    return f"wdata[{f.low + f.width - 1}:{f.low}]" if f.width > 1 else f"wdata[{f.low}]"


def _writes(inner: list[Register]) -> list[str]:
    writable = [r for r in inner if r.access != "ro"]
    out = ["    always @(posedge clk) begin"]
    out += ["        if (reset) begin"]
    for r in writable:
        for f in r.fields:
            out += [f"            {_port(r, f)} <= {f.width * r.count}'h{f.reset * _ones(r):X};"]
    out += ["        end else begin"]
    for r in writable:
        out += [f"            {_port(r, f)} <= 1'b0;" for f in r.fields if f.pulse]
    out += ["            if (we) begin", "                case (addr)"]
    for r in writable:
        for index in range(r.count):
            at = f"16'h{r.address + 4 * index:04X}"
            sets = [f"{_element(_port(r, f), r, index)} <= {_slice(f)};" for f in r.fields]
            if len(sets) == 1:
                out += [f"                    {at}: {sets[0]}"]
            else:
                out += [f"                    {at}: begin"]
                out += [f"                        {s}" for s in sets]
                out += ["                    end"]
    out += ["                    default: ;", "                endcase"]
    return out + ["            end", "        end", "    end", ""]


def _ones(r: Register) -> int:
    """Factor that repeats a word over the elements of an array."""
    return sum(1 << (32 * index) for index in range(r.count))


def _reads(inner: list[Register], regions: int) -> list[str]:
    latched = [r for r in inner if r.latched_by]
    by_name = {r.name: r for r in inner}
    out = [f"    reg [31:0] {r.name.lower()}_latched, {r.name.lower()}_fetched;" for r in latched]
    out += [f"    reg {r.name.lower()}_pending;" for r in latched]
    blocks = _blocks(inner)
    out += ["    // Words by blocks of eight: one of each block is taken with `re`, then one block shows."]
    for base in blocks:
        out += [f"    reg [31:0] block_{base:04x};"]
    out += ["    always @(posedge clk)", "        if (re) begin"]
    for base, words in blocks.items():
        out += [f"            block_{base:04x} <= 32'd0;", "            case (addr[4:2])"]
        for address, value in words:
            out += [f"                3'd{address >> 2 & 7}: block_{base:04x} <= {value};"]
        out += ["                default: ;", "            endcase"]
    out += ["        end", "", f"    reg [{len(blocks) - 1}:0] block_read;"]
    out += [f"    reg [{regions - 1}:0] region_read;"]
    out += ["    always @(posedge clk) begin", "        if (reset) begin"]
    out += [f"            block_read <= {len(blocks)}'d0;", f"            region_read <= {regions}'d0;"]
    for r in latched:
        out += [f"            {r.name.lower()}_latched <= 32'd0;", f"            {r.name.lower()}_pending <= 1'b0;"]
    out += ["        end else begin", "            if (taken) begin"]
    for r in latched:
        name = r.name.lower()
        out += [f"                if ({name}_pending) {name}_latched <= {name}_fetched;"]
        out += [f"                {name}_pending <= 1'b0;"]
    out += ["            end", "            if (re) begin"]
    for bit, base in enumerate(blocks):
        out += [f"                block_read[{bit}] <= aligned && addr[15:5] == 11'h{base >> 5:X};"]
    out += ["                region_read <= region;"]
    for r in latched:
        at, name = by_name[r.latched_by].address, r.name.lower()
        out += [f"                {name}_pending <= addr == 16'h{at:04X};", f"                {name}_fetched <= {name};"]
    return out + ["            end", "        end", "    end", ""]


def _blocks(inner: list[Register]) -> dict[int, list[tuple[int, str]]]:
    """Addresses and values of the words that can be read, by blocks of 32 octets."""
    blocks: dict[int, list[tuple[int, str]]] = {}
    for r in inner:
        if r.access == "wo":
            continue
        for index in range(r.count):
            address = r.address + 4 * index
            blocks.setdefault(address & ~31, []).append((address, _value(r, index)))
    return blocks


def write(registers: list[Register]) -> str:
    """Verilog source."""
    registers = [r for r in registers if not r.mcu]
    inner = [r for r in registers if not r.external]
    outer = [r for r in registers if r.external]
    ports = ["input  wire clk", "input  wire reset"]
    ports += ["input  wire [15:0] addr", "input  wire [31:0] wdata"]
    ports += ["input  wire we", "input  wire re", "input  wire taken", "output wire [31:0] rdata"]
    ports += _ports(inner, outer)
    lines = ["`default_nettype none", ""]
    lines += ["module spu_regs #(", "    // Cells of the board.", "    parameter integer CELLS = 8", ") ("]
    lines += ["    " + ",\n    ".join(ports), ");", ""]
    lines += ["    wire aligned = addr[1:0] == 2'd0;"]
    lines += [f"    wire [{len(outer) - 1}:0] region;", ""]
    for bit, r in enumerate(outer):
        lines += _decode(r, bit)
    lines += _writes(inner) + _reads(inner, len(outer))
    lines += ["    assign rdata = 32'd0"]
    lines += [f"        | ({{32{{block_read[{bit}]}}}} & block_{base:04x})" for bit, base in enumerate(_blocks(inner))]
    lines += [f"        | ({{32{{region_read[{bit}]}}}} & {r.name.lower()}_rdata)" for bit, r in enumerate(outer)]
    lines[-1] += ";"
    lines += ["", "endmodule", "", "`default_nettype wire"]
    return HEAD + "\n".join(lines) + "\n"
