//! Replays the committed corpus of every fuzz target.

use std::fs;
use std::path::Path;

use spu_fuzz::TARGETS;

#[test]
fn the_corpus_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in TARGETS {
        let mut files: Vec<_> = fs::read_dir(corpus.join(name))
            .unwrap_or_else(|error| panic!("fuzz/corpus/{name}: {error}"))
            .map(|entry| entry.expect("a file").path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "fuzz/corpus/{name} is empty");
        for file in &files {
            // Shown where the target panics.
            println!("{}", file.display());
            target(&fs::read(file).expect("a file"));
        }
        target(b"");
    }
}
