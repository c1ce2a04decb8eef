use super::*;
use crate::{
    linalg::dot,
    loss::{Loss, Targets},
    model::Model,
    random::normals,
};

pub(crate) fn random(seed: u64, n: usize) -> Vec<f32> {
    normals(seed, n).map(|z| z as f32).collect()
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) network: Network,
    pub(crate) theta: Vec<f32>,
    pub(crate) x: Vec<f32>,
    pub(crate) examples: usize,
}

pub(crate) fn case(name: &'static str, layers: Vec<Box<dyn Layer>>, x: Vec<f32>) -> Case {
    let network = Network::new(layers).unwrap();
    // Also biases that are not zero.
    let theta: Vec<f32> =
        network.init(1).iter().zip(random(2, network.params())).map(|(a, z)| a + 0.1 * z).collect();
    let examples = x.len() / network.inputs();
    Case { name, network, theta, x, examples }
}

pub(crate) fn cases() -> Vec<Case> {
    let first = Conv2d::new([7, 6, 2], 3, 2, 3).unwrap();
    let second = Conv2d::new(first.out_shape(), 2, 1, 2).unwrap();
    let small = Conv2d::new([6, 5, 1], 2, 1, 2).unwrap();
    let (middle, end) = (first.outputs(), second.outputs());
    vec![
        case(
            "dense",
            vec![
                Box::new(Dense { inputs: 3, outputs: 5 }),
                Box::new(Tanh { size: 5 }),
                Box::new(Dense { inputs: 5, outputs: 4 }),
            ],
            random(3, 12),
        ),
        case(
            "convolution",
            vec![
                Box::new(first),
                Box::new(Relu { size: middle }),
                Box::new(second),
                Box::new(Tanh { size: end }),
                Box::new(Dense { inputs: end, outputs: 3 }),
            ],
            random(4, 84 * 3),
        ),
        case(
            // More places than values in a patch.
            "small kernel",
            vec![
                Box::new(small),
                Box::new(Tanh { size: small.outputs() }),
                Box::new(Dense { inputs: small.outputs(), outputs: 3 }),
            ],
            random(5, 30 * 3),
        ),
        case(
            "embedding",
            vec![
                Box::new(Embedding { tokens: 4, vocabulary: 5, size: 3 }),
                Box::new(Dense { inputs: 12, outputs: 4 }),
                Box::new(Tanh { size: 4 }),
                Box::new(Dense { inputs: 4, outputs: 3 }),
            ],
            // Tokens twice in an example, in two examples, and never.
            vec![0.0, 2.0, 2.0, 3.0, 2.0, 0.0, 0.0, 0.0, 3.0, 2.0, 0.0, 3.0],
        ),
    ]
}

impl Case {
    pub(crate) fn tape(&self) -> Tape {
        self.network.forward(&self.theta, &self.x).unwrap()
    }

    /// Column j: derivative of all outputs by parameter j.
    pub(crate) fn jacobian(&self) -> Vec<Vec<f32>> {
        let (tape, n) = (self.tape(), self.network.params());
        let unit = |j: usize| (0..n).map(|i| if i == j { 1.0 } else { 0.0 }).collect::<Vec<f32>>();
        (0..n).map(|j| self.network.jvp(&self.theta, &tape, &unit(j))).collect()
    }

    /// Rows of `columns`, examples × c × outputs, times each example's Jacobian.
    fn rows(&self, columns: &[f32]) -> Vec<Vec<f32>> {
        let outputs = self.network.outputs();
        let c = columns.len() / (self.examples * outputs);
        let jacobian = self.jacobian();
        let row = |row: usize| {
            let s = &columns[row * outputs..][..outputs];
            let part = |j: &Vec<f32>| dot(s, &j[row / c * outputs..][..outputs]) as f32;
            jacobian.iter().map(part).collect()
        };
        (0..self.examples * c).map(row).collect()
    }
}

pub(crate) fn close(got: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got - expected).abs();
        assert!(error <= tolerance * scale, "{what}, entry {i}: {got} for {expected}");
    }
}

#[test]
fn forward_mode_is_a_finite_difference() {
    for case in cases() {
        let jacobian = case.jacobian();
        let step = 2e-3;
        for (j, column) in jacobian.iter().enumerate() {
            let moved = |by: f32| {
                let mut theta = case.theta.clone();
                theta[j] += by;
                case.network.forward(&theta, &case.x).unwrap().outputs().to_vec()
            };
            let slope: Vec<f32> = moved(step)
                .iter()
                .zip(moved(-step))
                .map(|(up, down)| (up - down) / (2.0 * step))
                .collect();
            let error = slope.iter().zip(column).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error < 2e-3, "{} parameter {j}: {error}", case.name);
        }
    }
}

#[test]
fn reverse_mode_is_the_transpose_of_forward_mode() {
    for case in cases() {
        let (tape, jacobian) = (case.tape(), case.jacobian());
        let dz = random(7, case.examples * case.network.outputs());
        let mut out = vec![f32::NAN; case.network.params()];
        case.network.vjp(&case.theta, &tape, &dz, &mut out);
        let expected: Vec<f32> = jacobian.iter().map(|j| dot(j, &dz) as f32).collect();
        close(&out, &expected, 1e-5, case.name);
    }
}

#[test]
fn gram_matrices_are_those_of_explicit_jacobians() {
    for case in cases() {
        for c in [1, 3] {
            let columns = random(8, case.examples * c * case.network.outputs());
            let rows = case.rows(&columns);
            let expected: Vec<f32> =
                rows.iter().flat_map(|a| rows.iter().map(|b| dot(a, b) as f32)).collect();
            let gram = case.network.gram(&case.theta, &case.tape(), &columns);
            close(&gram, &expected, 1e-5, case.name);
        }
    }
}

#[test]
fn factors_make_the_jacobians() {
    for case in cases() {
        let c = 2;
        let columns = random(9, case.examples * c * case.network.outputs());
        let rows = case.rows(&columns);
        let mut seen = 0;
        case.network.factors(&case.theta, &case.tape(), &columns, |layer, factors| {
            seen += 1;
            let &Factors { positions, width, outputs, a, delta } = &factors;
            assert_eq!((factors.examples(), factors.columns()), (case.examples, c));
            for (row, expected) in rows.iter().enumerate() {
                let mut block = vec![0.0; outputs * width];
                for position in 0..positions {
                    let a = &a[(row / c * positions + position) * width..][..width];
                    let delta = &delta[(row * positions + position) * outputs..][..outputs];
                    for (i, block) in block.iter_mut().enumerate() {
                        *block += delta[i / width] * a[i % width];
                    }
                }
                let from = case.network.range(layer).start;
                close(&block, &expected[from..from + block.len()], 1e-5, case.name);
            }
        });
        assert_eq!(seen, 2 + usize::from(case.name == "convolution"));
    }
}

/// Models of all cases with softmax, and of the same with the squared loss.
pub(crate) fn models() -> Vec<(Case, Loss, Targets)> {
    let labels = |case: &Case| Targets::Labels((0..case.examples as u32).map(|i| i % 3).collect());
    let values = |case: &Case| Targets::Values(random(10, case.examples * case.network.outputs()));
    let softmax = cases().into_iter().map(|case| {
        let targets = labels(&case);
        (case, Loss::SoftmaxCrossEntropy, targets)
    });
    softmax
        .chain(cases().into_iter().map(|case| {
            let targets = values(&case);
            (case, Loss::Squared, targets)
        }))
        .collect()
}

#[test]
fn gradients_and_losses_agree_with_finite_differences() {
    for (case, loss, targets) in models() {
        let model = NetworkModel::new(case.network, loss);
        let batch = Batch { inputs: case.x, targets };
        let mut gradient = vec![0.0; model.params()];
        let value = model.gradient(&case.theta, &batch, &mut gradient).unwrap();
        assert_eq!(value, model.loss(&case.theta, &batch).unwrap());
        let mut shared = vec![0.0; model.params()];
        let (same, _) = model.linearise(&case.theta, &batch, &mut shared).unwrap();
        assert_eq!((same, &shared), (value, &gradient));
        let v = random(13, model.params());
        let moved = |by: f32| {
            let theta: Vec<f32> = case.theta.iter().zip(&v).map(|(t, v)| t + by * v).collect();
            model.loss(&theta, &batch).unwrap()
        };
        let slope = (moved(1e-3) - moved(-1e-3)) / 2e-3;
        let expected = dot(&gradient, &v);
        assert!(
            (slope - expected).abs() < 2e-3 * expected.abs().max(1.0),
            "{}: {slope} {expected}",
            case.name
        );
    }
}

#[test]
fn outputs_of_many_examples_are_those_of_one_after_the_other() {
    let case = cases().swap_remove(0);
    let model = NetworkModel::new(case.network, Loss::Squared);
    let inputs = random(17, 3 * 300);
    let all = model.outputs(&case.theta, &inputs).unwrap();
    let each: Vec<f32> =
        inputs.chunks(3).flat_map(|x| model.outputs(&case.theta, x).unwrap()).collect();
    close(&all, &each, 1e-6, "outputs");
    let error = model.outputs(&case.theta, &inputs[1..]).unwrap_err();
    assert_eq!(error, ModelError::Ragged { len: 899, inputs: 3 });
}

#[test]
fn the_convnet_is_that_of_the_reference_runs() {
    let network = Network::mnist_convnet();
    assert_eq!((network.params(), network.inputs(), network.outputs()), (37_434, 784, 10));
    assert_eq!(network.init(5), network.init(5));
    assert_ne!(network.init(5), network.init(6));
    // LeCun: variance 1/inputs.
    let theta = network.init(5);
    let weights: Vec<f32> =
        theta[208..].chunks_exact(1153).take(32).flat_map(|row| row[..1152].to_vec()).collect();
    let variance = dot(&weights, &weights) / weights.len() as f64;
    // Relative standard error √(2/36,864) = 0.7 %: five of them.
    assert!((variance * 1152.0 - 1.0).abs() < 0.037, "{variance}");
}

#[test]
fn bad_networks_and_batches_are_refused() {
    let said = |layers: Vec<Box<dyn Layer>>| Network::new(layers).unwrap_err();
    assert!(matches!(said(vec![]), ModelError::Shape(_)));
    assert!(matches!(said(vec![Box::new(Relu { size: 3 })]), ModelError::Shape(_)));
    assert!(matches!(said(vec![Box::new(Dense { inputs: 0, outputs: 3 })]), ModelError::Shape(_)));
    assert_eq!(
        said(vec![Box::new(Dense { inputs: 2, outputs: 3 }), Box::new(Relu { size: 4 })]),
        ModelError::Layers { layer: 1, inputs: 4, given: 3 }
    );
    let late = Embedding { tokens: 3, vocabulary: 2, size: 1 };
    let error = said(vec![Box::new(Dense { inputs: 2, outputs: 3 }), Box::new(late)]);
    assert!(error.to_string().contains("put the embedding first"));
    assert!(Conv2d::new([4, 4, 1], 5, 1, 1).is_err());
    assert!(Conv2d::new([4, 4, 1], 3, 0, 1).is_err());

    let case = cases().swap_remove(0);
    let said = |theta: &[f32], x: &[f32]| case.network.forward(theta, x).unwrap_err();
    assert_eq!(said(&case.theta, &[]), ModelError::EmptyBatch);
    assert_eq!(said(&case.theta, &[0.0; 4]), ModelError::Ragged { len: 4, inputs: 3 });
    assert!(matches!(said(&case.theta[1..], &[0.0; 3]), ModelError::Length { .. }));
    assert_eq!(
        said(&case.theta, &[0.0, f32::NAN, 0.0]),
        ModelError::NotFinite("an input of the network")
    );
    let case = cases().swap_remove(3);
    let token = |x: f32| case.network.forward(&case.theta, &[0.0, x, 0.0, 0.0]).unwrap_err();
    for bad in [5.0, -1.0, 0.5, f32::NAN] {
        assert!(matches!(token(bad), ModelError::Token { vocabulary: 5, .. }), "{bad}");
    }
}
