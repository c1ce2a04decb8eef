//! `--mitigate`, `--settle` and the time ledger of `invert`.

use serde_json::Value;

use crate::{example, fails, json, run};

fn sum(object: &Value, parts: &[&str]) -> f64 {
    parts.iter().map(|part| object[part].as_f64().unwrap()).sum()
}

#[test]
fn the_ledger_adds_up() {
    let laplacian = example("laplacian-8.mtx");
    let arguments = ["invert", &laplacian, "--effective", "3000", "--device", "sim:profile=ideal"];
    let answer = json(&arguments, 0);
    let copy = &answer["copies"][0];
    let (ticks, wall) = (&copy["time"]["ticks"], &copy["time"]["wall_s"]);
    let count = |part: &str| ticks[part].as_u64().unwrap();
    assert_eq!(count("gain") + count("settle") + count("sample"), count("all"));
    assert_eq!(ticks["all"], copy["board_ticks"]);
    assert!(count("gain") > 0);
    let parts = ["program", "gain", "settle", "sample", "transfer", "encode", "decode", "host"];
    let all = wall["all"].as_f64().unwrap();
    assert!((sum(wall, &parts) - all).abs() < 1e-9 * all);
    // The rest of the answer's time is starting a thread, and the reference to compare with.
    let whole = answer["wall_s"].as_f64().unwrap();
    assert!(all <= whole && all > 0.5 * whole, "{all} of {whole} s");
    let rate = copy["time"]["effective_per_board_s"].as_f64().unwrap();
    let expected = copy["effective_measured"].as_f64().unwrap() / copy["board_s"].as_f64().unwrap();
    assert!((rate / expected - 1.0).abs() < 1e-9);

    let shown = String::from_utf8(run(&arguments).stdout).unwrap();
    for words in ["Time on the board, in ticks", "set gain", "N_eff/s", "Wall time: "] {
        assert!(shown.contains(words), "{shown} lacks {words:?}");
    }
    assert!(shown.lines().skip(1).all(|line| line.chars().count() <= 106), "{shown}");
}

#[test]
fn starts_and_mitigations() {
    let laplacian = example("laplacian-8.mtx");
    let common = ["invert", &laplacian, "--effective", "2000", "--device", "sim:profile=rev-b"];
    let with = |more: &[&str]| json(&[&common[..], more].concat(), 0)["copies"][0].clone();
    let plain = with(&[]);
    assert_eq!((&plain["programmings"], &plain["extrapolated"]), (&1.into(), &Value::Null));
    let waited = with(&["--settle", "500"]);
    assert_eq!(waited["time"]["ticks"]["settle"], 500);
    let kept = with(&["--settle", "keep", "--mitigate", "4,time"]);
    assert_eq!(kept["time"]["ticks"]["settle"], 0);
    assert_eq!(kept["programmings"], 4);
    let change = kept["extrapolated"].as_f64().unwrap();
    assert!(change < 0.01, "{change}");
    let change = with(&["--mitigate", "time"])["extrapolated"].as_f64().unwrap();
    assert!(change > 0.0 && change < 0.01, "{change}");
    let both = [&common[..], &["--mitigate", "4,16"]].concat();
    assert!(fails(&both, 2).contains("one number of programmings"));
    let wrong = [&common[..], &["--mitigate", "twice"]].concat();
    assert!(fails(&wrong, 2).contains("1 to 4096, or `time`"));
    let wrong = [&common[..], &["--settle", "soon"]].concat();
    assert!(fails(&wrong, 2).contains("`reset`, `keep` or a number of ticks"));
}
