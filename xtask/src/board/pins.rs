//! The pin table: ports of `spu_top`, their balls, and what is at the other end.

use std::collections::HashMap;
use std::fmt::Write;

use anyhow::{Context, Result, bail, ensure};

/// A port of the top module.
struct Port {
    name: String,
    direction: &'static str,
    bits: u32,
}

/// Ports of the module's header, in its order.
///
/// # Errors
/// Where the header is not there or a range is not `[n:0]`.
fn ports(top: &str) -> Result<Vec<Port>> {
    let header = top.split_once(") (").context("spu_top.v: no list of ports")?.1;
    let header = header.split_once("\n);").context("spu_top.v: the list of ports does not end")?.0;
    let mut ports = Vec::new();
    for line in header.lines().map(str::trim) {
        let direction = match line.split_whitespace().next() {
            Some("input") => "in",
            Some("output") => "out",
            Some("inout") => "in/out",
            _ => continue,
        };
        let line = line.split("//").next().unwrap_or_default().trim().trim_end_matches(',');
        let name = line.split_whitespace().last().context("a port without a name")?;
        let bits = match line.split_once('[') {
            None => 1,
            Some((_, range)) => {
                let high = range.split_once(":0]").with_context(|| format!("{name}: range"))?.0;
                high.parse::<u32>().with_context(|| format!("{name}: range"))? + 1
            }
        };
        ports.push(Port { name: name.to_owned(), direction, bits });
    }
    ensure!(!ports.is_empty(), "spu_top.v: no ports");
    Ok(ports)
}

/// Ball and standard of each located port bit.
fn balls(constraints: &str) -> HashMap<String, (String, String)> {
    let mut balls: HashMap<String, (String, String)> = HashMap::new();
    for line in constraints.lines() {
        let mut words = line.trim_end_matches(';').split('"');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("LOCATE COMP "), Some(port), Some(" SITE "), Some(ball)) => {
                ball.clone_into(&mut balls.entry(port.to_owned()).or_default().0);
            }
            (Some("IOBUF PORT "), Some(port), Some(rest), _) => {
                let standard =
                    rest.split_whitespace().find_map(|word| word.strip_prefix("IO_TYPE="));
                let entry = balls.entry(port.to_owned()).or_default();
                standard.unwrap_or_default().clone_into(&mut entry.1);
            }
            _ => {}
        }
    }
    balls
}

/// The table as CSV, a row a bit.
///
/// # Errors
/// Where a port has no ball or no connection, two have one ball, or a ball or connection is of a port
/// that the module does not have: says which and where to mend it.
pub(super) fn table(top: &str, constraints: &str, connections: &str) -> Result<String> {
    let mut balls = balls(constraints);
    let mut ends: HashMap<&str, Vec<&str>> = HashMap::new();
    for line in connections.lines().skip(1) {
        let fields: Vec<_> = line.splitn(3, ',').collect();
        ensure!(fields.len() == 3, "connections.csv: {line}: port,to,note");
        ends.insert(fields[0], fields);
    }
    let mut text = String::from("port,direction,ball,standard,to,note\n");
    let mut used = HashMap::new();
    for port in ports(top)? {
        let end = ends.remove(port.name.as_str()).with_context(|| {
            format!("port {} of spu_top.v is not in hardware/board/connections.csv", port.name)
        })?;
        for bit in 0..port.bits {
            let name =
                if port.bits == 1 { port.name.clone() } else { format!("{}[{bit}]", port.name) };
            let (ball, standard) = balls.remove(&name).unwrap_or_default();
            ensure!(!ball.is_empty(), "port {name} of spu_top.v has no ball in ecp5-25f.lpf");
            if let Some(other) = used.insert(ball.clone(), name.clone()) {
                bail!("ecp5-25f.lpf: ball {ball} is of {other} and {name}");
            }
            // Writing to a string cannot fail.
            let _ =
                writeln!(text, "{name},{},{ball},{standard},{},{}", port.direction, end[1], end[2]);
        }
    }
    if let Some(port) = balls.keys().next() {
        bail!("ecp5-25f.lpf: spu_top.v has no port {port}");
    }
    if let Some(port) = ends.keys().next() {
        bail!("hardware/board/connections.csv: spu_top.v has no port {port}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::table;

    const TOP: &str = "module t #(\n parameter A = 1\n) (\n    input  wire clk,\n    // A bus.\n    \
                       output reg  [1:0] data\n);\nendmodule\n";
    const BALLS: &str = "LOCATE COMP \"clk\" SITE \"G2\";\nIOBUF PORT \"clk\" IO_TYPE=LVCMOS33;\n\
                         LOCATE COMP \"data[0]\" SITE \"A1\";\nLOCATE COMP \"data[1]\" SITE \"A2\";\n";
    const ENDS: &str = "port,to,note\nclk,U3 OUT,\ndata,U11,bus\n";

    #[test]
    fn a_row_for_each_bit() {
        let text = table(TOP, BALLS, ENDS).unwrap();
        assert!(text.contains("\nclk,in,G2,LVCMOS33,U3 OUT,\n"), "{text}");
        assert!(text.ends_with("\ndata[1],out,A2,,U11,bus\n"), "{text}");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (top, balls, ends, says) in [
            (TOP.replace("clk", "clock"), BALLS.into(), ENDS.into(), "port clock of spu_top.v"),
            (TOP.into(), BALLS.replace("data[1]", "date[1]"), ENDS.into(), "data[1] of spu_top.v"),
            (TOP.into(), BALLS.replace("A2", "A1"), ENDS.into(), "ball A1 is of"),
            (TOP.into(), format!("{BALLS}LOCATE COMP \"x\" SITE \"B1\";\n"), ENDS.into(), "port x"),
            (TOP.into(), BALLS.into(), format!("{ENDS}x,,\n"), "no port x"),
            (TOP.into(), BALLS.into(), ENDS.replace("U11,bus", "U11"), "port,to,note"),
        ] {
            let error = format!("{:#}", table(&top, &balls, &ends).unwrap_err());
            assert!(error.contains(says), "{says}: {error}");
        }
    }
}
